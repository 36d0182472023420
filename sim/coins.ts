// Coins, for days on which the ledger is in it: issued once, handed on, fought over. Whatever happens, each coin has one owner.

import { contract, FlowError, flow, requireThat, responder, type StateAndRef, state, transaction } from "@bowline/sdk";
import * as Type from "typebox";

const AGREEMENT_MS = 30 * 60_000;
const PROTOCOL = { name: "sim.coin", versions: [1] };

const CoinData = Type.Object({ serial: Type.String(), owner: Type.String(), moves: Type.Integer() });
type CoinData = Type.Static<typeof CoinData>;

export const coinState = state({
  name: "sim.Coin",
  version: 1,
  contract: "sim.CoinContract",
  schema: CoinData,
  participants: ({ owner }) => [owner],
});

const coinsOf = (states: readonly StateAndRef[]): readonly CoinData[] => states.map((each) => each.state.data as CoinData);

export const coinContract = contract({
  name: "sim.CoinContract",
  commands: { Issue: Type.Object({}), Move: Type.Object({}) },
  verify({ inputs, outputs, commands, signatories }) {
    const [before, after] = [coinsOf(inputs)[0], coinsOf(outputs)[0]];
    requireThat(outputs.length === 1 && after !== undefined, "one coin comes out");
    requireThat(inputs.length === (commands[0]?.type === "Issue" ? 0 : 1), "an issue takes no coin, a move one");
    requireThat(before === undefined || before.serial === after.serial, "a coin stays itself");
    requireThat(before === undefined || before.moves + 1 === after.moves, "moves are counted");
    requireThat(signatories.includes((before ?? after).owner), "its owner signs");
  },
});

/** What a coin's flow may come to, without anything being wrong: others were faster, or too much time has passed. */
export const COIN_NOTES = ["done", "none", "refused"] as const;

const Issue = flow({
  name: "sim.IssueCoin",
  startable: true,
  input: Type.Object({ serial: Type.String() }),
  async call(context, { serial }) {
    const [notary] = await context.notaries.all();
    const { ledgerKeys } = await context.members.mine();
    const owner = ledgerKeys[0] as string;
    const proposal = transaction()
      .notary(notary?.name as string)
      .until((await context.now()) + AGREEMENT_MS)
      .output(coinState, { serial, owner, moves: 0 })
      .command(coinContract, "Issue")
      .signedBy(owner)
      .build();
    await context.ledger.finalize(await context.ledger.sign(proposal), []);
    return "done";
  },
});

const Move = flow({
  name: "sim.MoveCoin",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({ serial: Type.String(), to: Type.String() }),
  async call(context, { serial, to }) {
    const { states } = await context.vault.find(coinState, { where: { serial } });
    const [coin] = states;
    if (coin === undefined) return "none";
    const [owner, receiver] = [await context.members.mine(), await context.members.lookup(to)];
    const proposal = transaction()
      .notary(coin.notary)
      .until((await context.now()) + AGREEMENT_MS)
      .input(coin)
      .output(coinState, { serial, owner: receiver?.ledgerKeys[0] as string, moves: coin.state.data.moves + 1 })
      .command(coinContract, "Move")
      .signedBy(owner.ledgerKeys[0] as string)
      .build();
    try {
      const signed = await context.ledger.sign(proposal);
      await context.ledger.finalize(signed, to === context.me ? [] : [await context.initiate(to)]);
      return "done";
    } catch (thrown) {
      if (thrown instanceof FlowError && /^(notary|ledger|vault)\./.test(thrown.type)) return "refused";
      throw thrown;
    }
  },
});

const Take = responder({
  name: "sim.TakeCoin",
  answers: PROTOCOL,
  async call(context, session) {
    await context.ledger.receiveFinality(session, () => {});
  },
});

export const coinFlows = [Issue, Move, Take];
export const IssueCoin = Issue;
export const MoveCoin = Move;
