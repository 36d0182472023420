// Messages to systems outside, over channels that the CorDapp declares.

import { FlowError } from "./failure.ts";
import type { Syscall } from "./syscalls.ts";

/** Only `SEND`: nothing comes back over a channel. */
export interface ExternalChannel {
  /** Letters, digits, `-`, `_` and `.`; at most 100. */
  readonly name: string;
  readonly type: "SEND";
}

export interface ExternalMessaging {
  /**
   * Sends a text once this step is committed, at least once. With `id` the receiver knows a message again however often it comes; without one
   * the flow's id and the step make it. Fails with `external.channelUnknown`, `external.routeInactive` or `external.messageTooLarge`.
   */
  send(channel: string, message: string): Promise<void>;
  send(channel: string, id: string, message: string): Promise<void>;
}

const MESSAGE_CHARS_MAX = 972_800;

export const externalMessagingOf = (channels: readonly ExternalChannel[], ask: (call: Syscall) => Promise<unknown>): ExternalMessaging => ({
  send(channel: string, ...rest: readonly string[]): Promise<void> {
    const [message = "", id] = rest.toReversed();
    if (!channels.some(({ name }) => name === channel))
      return Promise.reject(
        new FlowError("external.channelUnknown", `This CorDapp declares no channel ${channel}: name it in the channels of its definition.`),
      );
    if (message.length > MESSAGE_CHARS_MAX)
      return Promise.reject(new FlowError("external.messageTooLarge", `A message has at most ${MESSAGE_CHARS_MAX} characters.`));
    return ask({ kind: "external.send", channel, message, ...(id === undefined ? {} : { id }) }).then(() => undefined);
  },
});
