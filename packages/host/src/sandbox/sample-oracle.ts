// A small CorDapp whose contract believes an oracle, as an author would write it: it uses all that contracts may of digests, Merkle
// proofs, signatures, JSON and canonical bytes. For tests of the sandbox.

import { contract, cordapp as define, requireThat, state } from "@bowline/sdk";
import { type AuthorMerkleProof, digest, merkle, publicKeys, signatures, transactionSignatures } from "@bowline/sdk/crypto";
import { canonical, json, jsonTypes } from "@bowline/sdk/encoding";
import type { Static } from "typebox";
import * as Type from "typebox";

const Bytes = jsonTypes.bytes();
const Price = Type.Object({ instrument: Type.String(), price: jsonTypes.decimal() });

const Quote = state({
  name: "com.example.Quote",
  version: 1,
  contract: "com.example.QuoteContract",
  schema: Type.Object({ owner: Type.String(), text: Type.String(), hash: Type.String() }),
  participants: ({ owner }) => [owner],
});

/** Another transaction that somebody signed, and that its notary accepted. */
const Followed = Type.Object({
  id: Type.String(),
  key: Type.String(),
  record: Bytes,
  words: Type.Array(Bytes),
  notaryKey: Type.String(),
});

function follow({ id, key, record, words, notaryKey }: Static<typeof Followed>): void {
  requireThat(!transactionSignatures.read(record).isNotary, "a member has signed");
  transactionSignatures.verify(id, record, key);
  transactionSignatures.verifyNotary(id, words, notaryKey);
}

const QuoteContract = contract({
  name: "com.example.QuoteContract",
  commands: {
    Quote: Type.Object({ key: Type.String(), spec: Type.String(), signature: Bytes, root: Bytes, proof: Type.Unknown() }),
    Follow: Followed,
  },
  verify({ commands, outputs }) {
    if (commands[0]?.type === "Follow") return follow(commands[0].data as unknown as Static<typeof Followed>);
    const { key, vnode, spec, signature, root, proof } = (commands[0]?.data ?? {}) as unknown as {
      readonly key: string;
      readonly vnode: string;
      readonly spec: never;
      readonly signature: Uint8Array;
      readonly root: Uint8Array;
      readonly proof: AuthorMerkleProof;
    };
    requireThat(publicKeys.compatibleSpecs(publicKeys.decode(key)).includes(spec), "the oracle's key signs so");
    signatures.verify(root, { by: key, vnode, spec, signature });
    requireThat(merkle.verify(proof, root, "prices"), "the price is one of the oracle's");
    for (const { state: quote } of outputs) {
      const { text, hash } = quote.data as { readonly text: string; readonly hash: string };
      const price = json.parse(Price, text);
      requireThat(digest.hash(text) === hash, "the hash is the text's");
      requireThat(
        proof.leaves.some(({ data }) => canonical.decode(Price, data).price === price.price),
        "the price is the one that is shown",
      );
    }
  },
});

export const cordapp = define({ flows: [], states: [Quote], contracts: [QuoteContract] });
