// How one operation is answered: what arrives is decoded and authorised, what leaves is encoded elsewhere.

import type { ApiVersion, BodyOf, OperationName, Operations, ParamsOf, QueryOf, ReplyOf, Route } from "@bowline/api";
import type { Directory } from "../directory.ts";
import type { Granted } from "../grants.ts";

export interface UploadedFile {
  readonly fileName: string;
  /** A temporary file; it goes when the request is answered. */
  readonly path: string;
  /** Whoever the file is handed to removes it. */
  keep(): void;
}

export interface Incoming<R extends Route> {
  readonly version: ApiVersion;
  /** Of the user who asks. */
  readonly login: string;
  readonly params: ParamsOf<R>;
  readonly query: QueryOf<R>;
  readonly body: BodyOf<R>;
  /** Of a multipart body. */
  readonly texts: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, readonly UploadedFile[]>>;
}

export interface Reply<R extends Route> {
  /** The operation's first status of success where nothing is said. */
  readonly status?: number;
  readonly body: ReplyOf<R>;
}

export type Answer<R extends Route> = (incoming: Incoming<R>) => Promise<Reply<R>>;
export type Answers = { readonly [N in OperationName]: Answer<Operations[N]> };

/** What answers may use: calls to other roles, and copies of what they said. */
export interface RestShell {
  readonly services: Granted<"rest">;
  readonly directory: Directory;
}
