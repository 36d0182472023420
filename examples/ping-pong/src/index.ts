import { cordapp as bundle } from "@bowline/sdk";
import { Ping, Pong } from "./ping-pong.ts";

export const cordapp = bundle({ flows: [Ping, Pong], states: [], contracts: [] });
