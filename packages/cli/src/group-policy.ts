// `bowline network generate-group-policy`: the file that makes a CPI belong to one application network.

import { randomUUID } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { X500Name } from "@bowline/base";
import { Option } from "commander";
import { severalOption, whole } from "./options.ts";
import { act, type Register } from "./program.ts";
import { EXIT, usage } from "./terminal.ts";

const ENDPOINT_DEFAULT = "https://localhost:1080";
const SERVICE_DEFAULT = "O=Notary Service, L=Zurich, C=CH";

interface Options {
  readonly member: readonly string[];
  readonly notary: readonly string[];
  readonly notaryService: string;
  readonly notaryType: NotaryType;
  readonly notarySignatures: number;
  readonly endpoint: string;
  readonly groupId?: string;
  readonly file?: string;
}

export const register: Register = (program, shell) => {
  program
    .command("network")
    .summary("write group policies")
    .description("Application networks.")
    .command("generate-group-policy")
    .addOption(severalOption("-m, --member <name>", "a member's X.500 name; say it once for each"))
    .addOption(severalOption("--notary <name>", "a member that runs the network's notary, beside --member; say it once for each"))
    .addOption(new Option("--notary-service <name>", "what the notary's service is called").default(SERVICE_DEFAULT))
    .addOption(new Option("--notary-type <type>", "what the notary does").choices(NOTARY_TYPES).default("non-validating"))
    .addOption(
      new Option("--notary-signatures <count>", "of how many of those that run it a transaction needs the word")
        .argParser(whole(1, 20))
        .default(1),
    )
    .addOption(new Option("--endpoint <url>", "where members are reached").default(ENDPOINT_DEFAULT))
    .option("--group-id <uuid>", "the network's id (default: a new one)")
    .option("-f, --file <file>", "write it there; an existing file is left alone (default: standard output)")
    .description("Writes the group policy of a static network: all members are named beforehand and live in one cluster.")
    .addHelpText(
      "after",
      `
Example:
  bowline network generate-group-policy -f GroupPolicy.json --notary "O=Notary, L=Zurich, C=CH" \\
      -m "O=Alice, L=London, C=GB" -m "O=Bob, L=Paris, C=FR"`,
    )
    .action(
      act(shell, async (options: Options) => {
        const text = `${JSON.stringify(staticGroupPolicy(await readOptions(options)), null, 2)}\n`;
        if (options.file === undefined) shell.terminal.out(text);
        else writeNew(resolve(shell.terminal.cwd, options.file), text);
        return EXIT.done;
      }),
    );
};

const PROTOCOLS = {
  "non-validating": "com.r3.corda.notary.plugin.nonvalidating",
  "contract-verifying": "com.r3.corda.notary.plugin.contractverifying",
} as const;
/** A non-validating notary sees no more than which states are used; one that verifies spares its clients the backchain. */
export type NotaryType = keyof typeof PROTOCOLS;
export const NOTARY_TYPES = Object.keys(PROTOCOLS) as readonly NotaryType[];

export interface StaticNetwork {
  /** A UUID, lower case. */
  readonly groupId: string;
  readonly members: readonly X500Name[];
  readonly notary?: {
    /** Those that run it. */
    readonly names: readonly X500Name[];
    readonly serviceName: X500Name;
    readonly type?: NotaryType;
    readonly signaturesRequired?: number;
  };
  readonly endpoint: string;
}

/** In the original's form; a member that is a notary says so in an entry of its own. */
export function staticGroupPolicy({ groupId, members, notary, endpoint }: StaticNetwork) {
  const entry = (name: X500Name) => ({ name, memberStatus: "ACTIVE", "endpointUrl-1": endpoint, "endpointProtocol-1": 1 });
  return {
    fileFormatVersion: 1,
    groupId,
    registrationProtocol: "net.corda.membership.impl.registration.staticnetwork.StaticMemberRegistrationService",
    synchronisationProtocol: "net.corda.membership.impl.sync.staticnetwork.StaticMemberSyncService",
    protocolParameters: {
      sessionKeyPolicy: "Combined",
      staticNetwork: {
        members: [...(notary?.names ?? []).map((name) => ({ ...entry(name), notary: serviceEntry(notary) })), ...members.map(entry)],
      },
    },
    p2pParameters: {
      sessionPki: "NoPKI",
      tlsPki: "Standard",
      tlsTrustRoots: [],
      tlsVersion: "1.3",
      protocolMode: "Authenticated_Encryption",
      tlsType: "OneWay",
    },
    cipherSuite: {},
  };
}

/** Of the notary in a policy that `staticGroupPolicy` wrote. */
export function notaryTypeOf(policy: string): NotaryType | undefined {
  const { protocolParameters } = JSON.parse(policy) as {
    readonly protocolParameters: {
      readonly staticNetwork: { readonly members: readonly { readonly notary?: ReturnType<typeof serviceEntry> }[] };
    };
  };
  const named = protocolParameters.staticNetwork.members.find(({ notary }) => notary !== undefined)?.notary?.flowProtocolName;
  return NOTARY_TYPES.find((type) => PROTOCOLS[type] === named);
}

function serviceEntry(notary: StaticNetwork["notary"]) {
  const { serviceName, type = "non-validating", signaturesRequired = 1 } = notary ?? {};
  const needed = signaturesRequired === 1 ? {} : { signaturesRequired };
  return { serviceName, flowProtocolName: PROTOCOLS[type], backchainRequired: type === "non-validating", ...needed };
}

async function readOptions(options: Options): Promise<StaticNetwork> {
  const { member, notary, notaryService, notaryType, notarySignatures, endpoint, groupId } = options;

  const { parseName } = await import("@bowline/base"); // Only now: it takes longer to load than help may take.
  const members = member.map((name) => parseName(name));
  if (members.length === 0) throw usage("members", 'Name at least one member: --member "O=Alice, L=London, C=GB".');
  const notaries = notary.map((name) => parseName(name));
  if (notarySignatures > Math.max(notaries.length, 1))
    throw usage("notarySignatures", `${notarySignatures} must sign, and ${notaries.length} run the notary.`);
  const all = [...members, ...notaries];
  const twice = all.find((name, at) => all.indexOf(name) !== at);
  if (twice !== undefined) throw usage("members", `${twice} is named twice.`);
  if (URL.parse(endpoint)?.protocol !== "https:") throw usage("endpoint", `--endpoint takes an https address, and not "${endpoint}".`);
  if (groupId !== undefined && !/^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(groupId))
    throw usage("groupId", `"${groupId}" is no UUID.`);
  return {
    groupId: groupId?.toLowerCase() ?? randomUUID(),
    members,
    ...(notaries.length === 0
      ? {}
      : {
          notary: {
            names: notaries,
            serviceName: parseName(notaryService),
            type: notaryType,
            signaturesRequired: notarySignatures,
          },
        }),
    endpoint,
  };
}

function writeNew(file: string, text: string): void {
  if (existsSync(file)) throw usage("exists", `${file} exists already; it is left as it is.`);
  try {
    writeFileSync(file, text);
  } catch (thrown) {
    throw usage("file", `${file} cannot be written: ${(thrown as Error).message}.`);
  }
}
