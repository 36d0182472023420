// The door `@bowline/sdk/encoding`: JSON and canonical bytes, data and states that outlive the code that wrote them, for flows and contracts alike. Synchronous and pure, as `./crypto.ts`.

export { canonical, type OlderVersion, older, type Versioned, versioned } from "./canonical.ts";
export { type JsonForm, type JsonForms, json, jsonTypes } from "./json.ts";
export { dataOf } from "./state-versions.ts";
