#!/usr/bin/env python3
"""Reads docs/ledger-vectors.json with nothing but the standard library of Python 3, and computes all of it again.

It shares no code with the platform: a canonical decoder, the trees, ids, proofs and preimages are written here from the
description at the top of packages/ledger/src/transaction.ts. So it shows that the published numbers can be had from the
published description, and that a transaction's bytes need no Bowline to be read.

    python3 packages/ledger/vectors/decode.py [FILE]      exit status 0, and one line that says what was checked
    python3 packages/ledger/vectors/decode.py --stdin     one value in hexadecimal a line; answers "ok HEX" or "no REASON"
"""

import hashlib
import hmac
import json
import os
import sys

GROUPS = "metadata notary signatories outputsInfo commandsInfo unused inputs references outputs commands".split()
LEDGER_VERSION = 1
PUBLISHED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/ledger-vectors.json")


class Refused(Exception):
    pass


def require(condition, reason):
    if not condition:
        raise Refused(reason)


# Canonical bytes: deterministic CBOR, RFC 8949 section 4.2.1, and only the forms that the ledger uses.


def decode(data):
    value, at = decode_at(data, 0, 0)
    require(at == len(data), "more bytes than the value has")
    return value


def decode_at(data, at, depth):
    require(depth <= 32, "too deep")
    require(at < len(data), "fewer bytes than the value has")
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        require(low in (20, 21, 22), "no false, true or null")
        return {20: False, 21: True, 22: None}[low], at
    require(major != 6, "a tag")
    argument, at = argument_at(data, at, low)
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major in (2, 3):
        require(at + argument <= len(data), "fewer bytes than the value has")
        part = bytes(data[at : at + argument])
        if major == 3:
            try:
                part = part.decode("utf-8", "strict")
            except UnicodeDecodeError:
                raise Refused("text that is not UTF-8")
        return part, at + argument
    require(argument <= len(data), "fewer bytes than the value has")
    if major == 4:
        items = []
        for _ in range(argument):
            item, at = decode_at(data, at, depth + 1)
            items.append(item)
        return items, at
    return map_at(data, at, argument, depth)


def argument_at(data, at, low):
    if low < 24:
        return low, at
    require(low <= 27, "no fixed length")
    size = 1 << (low - 24)
    require(at + size <= len(data), "fewer bytes than the value has")
    argument = int.from_bytes(data[at : at + size], "big")
    least = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}[size]
    require(argument >= least, "more bytes than the number takes")
    return argument, at + size


def map_at(data, at, count, depth):
    entries, before = {}, None
    for _ in range(count):
        start = at
        key, at = decode_at(data, at, depth + 1)
        require(isinstance(key, str), "a key that is no text")
        encoded = bytes(data[start:at])
        require(before is None or before < encoded, "keys out of order, or twice")
        before = encoded
        entries[key], at = decode_at(data, at, depth + 1)
    return entries, at


def encode(value):
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode("utf-8")
        return head(3, len(text)) + text
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(encode(item) for item in value)
    entries = sorted((encode(key), encode(member)) for key, member in value.items())
    return head(5, len(entries)) + b"".join(key + member for key, member in entries)


def head(major, argument):
    if argument < 24:
        return bytes([major << 5 | argument])
    for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | low]) + argument.to_bytes(size, "big")
    raise Refused("an integer of more than 64 bits")


# The hashes of a transaction.


def u32(value):
    return value.to_bytes(4, "big")


def named(name):
    return lambda data: hashlib.new(name, data).digest()


def twice(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


# Digest by name: its number in leaves, its length, and the function.
DIGESTS = {
    "SHA-256": (1, 32, named("sha256")),
    "SHA-384": (2, 48, named("sha384")),
    "SHA-512": (3, 64, named("sha512")),
    "SHA3-256": (4, 32, named("sha3_256")),
    "SHA-256D": (5, 32, twice),
}


def nonce_of(salt, group, index):
    return hmac.new(salt, u32(group) + u32(index), hashlib.sha256).digest()


def leaf_hash(digest, group, index, nonce, data):
    suite, _, of = DIGESTS[digest]
    require(len(nonce) == 32, "a nonce of 32 bytes")
    return of(bytes([0x00, suite]) + u32(group) + u32(index) + nonce + data)


def node_hash(digest, depth, left, right):
    return DIGESTS[digest][2](bytes([0x01, depth]) + left + right)


def top_hash(digest, group, count, root):
    return DIGESTS[digest][2](bytes([0x02]) + u32(group) + u32(count) + root)


def transaction_id(digest, group_id, tops):
    name = group_id.encode("utf-8")
    root = merkle_root(digest, tops)
    body = bytes([0x03]) + u32(LEDGER_VERSION) + u32(len(name)) + name + u32(len(GROUPS)) + root
    return digest + ":" + DIGESTS[digest][2](body).hex().upper()


def merkle_root(digest, leaves):
    if not leaves:
        return bytes(DIGESTS[digest][1])
    return root_from(digest, len(leaves), dict(enumerate(leaves)), [])


def root_from(digest, count, known, hashes):
    """The root from the leaves that are known and the hashes beside their way; each hash is needed, and none is missing."""
    hashes = list(hashes)
    length = DIGESTS[digest][1]
    require(all(len(each) == length for each in hashes), "a hash of another length")
    require(all(0 <= index < count for index in known), "a leaf outside of the tree")
    if not known:
        require(len(hashes) == (0 if count == 0 else 1), "one hash, the root, proves a count")
        return hashes[0] if hashes else bytes(length)
    depth = max(0, (count - 1).bit_length()) - 1
    width = count
    while width > 1:
        above = {}
        for index in sorted(known):
            parent = index // 2
            if parent in above:
                continue
            pair = []
            for child in (parent * 2, parent * 2 + 1):
                if child < width:
                    if child not in known:
                        require(hashes, "a hash is missing")
                        pair.append(hashes.pop(0))
                    else:
                        pair.append(known[child])
            above[parent] = pair[0] if len(pair) == 1 else node_hash(digest, depth, pair[0], pair[1])
        known, width, depth = above, (width + 1) // 2, depth - 1
    require(not hashes, "a hash too many")
    return known[0]


# What is checked.


def check_encoding(vectors):
    for sample in vectors["encoding"]:
        data = bytes.fromhex(sample["cbor"])
        value = json.loads(sample["json"])
        require(decode(data) == value and encode(value) == data, "encoding of " + sample["json"])
    for sample in vectors["refused"]:
        try:
            decode(bytes.fromhex(sample["cbor"]))
        except Refused:
            continue
        raise Refused("accepted: " + sample["reason"])


def check_transaction(vector):
    wire = decode(bytes.fromhex(vector["bytes"]))
    require(sorted(wire) == ["groupId", "groups", "ledgerVersion", "salt"], "the members of a transaction")
    require(wire["ledgerVersion"] == LEDGER_VERSION and wire["groupId"] == vector["groupId"], "version and group")
    groups = wire["groups"]
    require(len(groups) == len(GROUPS) and len(groups[0]) == 1, "ten groups, and one metadata leaf")
    digest = decode(groups[0][0])["digest"]
    require(digest == vector["digest"], "the digest is the one that the metadata name")
    tops = []
    for number, (leaves, published) in enumerate(zip(groups, vector["groups"])):
        require(published["name"] == GROUPS[number], "groups in order")
        hashes = []
        for index, data in enumerate(leaves):
            decode(data)
            nonce = nonce_of(wire["salt"], number, index)
            hashes.append(leaf_hash(digest, number, index, nonce, data))
            expected = published["leaves"][index]
            require([data, nonce, hashes[-1]] == [bytes.fromhex(expected[key]) for key in ("data", "nonce", "hash")], "a leaf")
        require(len(leaves) == len(published["leaves"]), "the count of leaves")
        root = merkle_root(digest, hashes)
        require(root == bytes.fromhex(published["root"]), "the root of group " + published["name"])
        tops.append(top_hash(digest, number, len(leaves), root))
        require(tops[-1] == bytes.fromhex(published["top"]), "the top of group " + published["name"])
    require(transaction_id(digest, wire["groupId"], tops) == vector["id"], "the id")
    for shown in vector["filtered"]:
        check_filtered(bytes.fromhex(shown["bytes"]), vector["id"], groups, wire["salt"])


def check_filtered(data, expected, groups, salt):
    require(salt not in data, "the salt stays at home")
    view = decode(data)
    metadata = view["groups"][0]
    require(metadata["kind"] == "shown" and metadata["count"] == len(metadata["leaves"]) == 1, "metadata is shown")
    digest = decode(metadata["leaves"][0]["data"])["digest"]
    tops = []
    for number, group in enumerate(view["groups"]):
        if group["kind"] == "hidden":
            tops.append(group["top"])
            continue
        known = {}
        for leaf in group["leaves"]:
            require(leaf["index"] not in known, "a leaf twice")
            require(leaf["data"] == groups[number][leaf["index"]], "a leaf of the transaction")
            known[leaf["index"]] = leaf_hash(digest, number, leaf["index"], leaf["nonce"], leaf["data"])
        tops.append(top_hash(digest, number, group["count"], root_from(digest, group["count"], known, group["hashes"])))
    require(transaction_id(digest, view["groupId"], tops) == expected, "the id of a filtered transaction")


def check_signatures(vector, transaction):
    top = bytes.fromhex(vector["batchTop"])
    for word in vector["words"]:
        data, proof = bytes.fromhex(word["bytes"]), word["proof"]
        leaf = hashlib.sha256(bytes([0x04, 1]) + u32(proof["index"]) + data).digest()
        require(leaf == bytes.fromhex(word["leaf"]), "the leaf of a notary's word")
        root = root_from("SHA-256", proof["count"], {proof["index"]: leaf}, [bytes.fromhex(each) for each in proof["hashes"]])
        found = hashlib.sha256(bytes([0x05, 1]) + u32(proof["count"]) + root).digest()
        require(found == top, "the batch that a word stands in")
    require(decode(bytes.fromhex(vector["words"][0]["bytes"]))["transactionId"] == transaction["id"], "the word's transaction")
    for name, purpose, bound in (("memberPreimage", b"tx", {"id": transaction["id"]}), ("notaryPreimage", b"notary", {"batch": top})):
        preimage = bytes.fromhex(vector[name])
        start = b"bowline/" + purpose + b"/1\0"
        require(preimage.startswith(start), "a preimage begins with its purpose")
        said = decode(preimage[len(start) :])
        require(sorted(said) == sorted([*bound, "metadata"]), "the members of a preimage")
        require(all(said[key] == value for key, value in bound.items()), "what a preimage binds")
    check_together(vector["together"])


def check_together(vector):
    preimage = bytes.fromhex(vector["preimage"])
    start = b"bowline/tx/1\0"
    require(preimage.startswith(start), "a preimage begins with its purpose")
    said = decode(preimage[len(start) :])
    require(sorted(said) == ["batch", "metadata"], "the members of a preimage")
    for transaction in vector["transactions"]:
        proof = transaction["proof"]
        leaf = hashlib.sha256(bytes([0x04, 1]) + u32(proof["index"]) + transaction["id"].encode()).digest()
        root = root_from("SHA-256", proof["count"], {proof["index"]: leaf}, [bytes.fromhex(each) for each in proof["hashes"]])
        found = hashlib.sha256(bytes([0x05, 1]) + u32(proof["count"]) + root).digest()
        require(found == said["batch"], "the transactions that one signature covers")


def check(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    check_encoding(vectors)
    for vector in vectors["transactions"]:
        check_transaction(vector)
    check_signatures(vectors["signatures"], vectors["transactions"][0])
    counts = (len(vectors["encoding"]), len(vectors["refused"]), len(vectors["transactions"]))
    print("%d values, %d refusals and %d transactions are what was published" % counts)


def answer(line):
    try:
        return "ok " + encode(decode(bytes.fromhex(line.strip()))).hex()
    except Refused as refused:
        return "no " + str(refused)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments == ["--stdin"]:
        for line in sys.stdin:
            print(answer(line))
    else:
        check(arguments[0] if arguments else PUBLISHED)
