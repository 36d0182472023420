// `bowline package`: from a CorDapp's sources to signed files.

import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { JarSigner } from "@bowline/cluster";
import { type Command, Option } from "commander";
import { readBytes, readText } from "./file.ts";
import { findHome, HOME_FOLDER } from "./network.ts";
import type { PackageFile } from "./package-files.ts";
import { act, type Register } from "./program.ts";
import { EXIT, print, type Terminal, usage } from "./terminal.ts";

interface SignerOptions {
  readonly key?: string;
  readonly devKey?: true;
  readonly home?: string;
}

export const register: Register = (program, shell) => {
  const { terminal } = shell;
  const group = program
    .command("package")
    .summary("turn a CorDapp into signed packages")
    .description("Signed packages, which the JAR tools accept.");

  signing(
    group
      .command("build", { isDefault: true })
      .argument("<dir>", 'the CorDapp\'s folder: its package.json names the CPKs under "bowline"')
      .option("--out <dir>", "where the files go", "."),
  )
    .description("Bundles a CorDapp into its CPKs and their CPB, and signs them.")
    .addHelpText("after", "\nExample:\n  bowline package examples/obligation --out build")
    .action(
      act(shell, async (dir: string, options: { out: string }, command: Command) => {
        const { packProject } = await import("./package-files.ts");
        const signer = await chooseSigner(terminal, command.optsWithGlobals<SignerOptions>());
        const { name, version, cpks, cpb } = await packProject(resolve(terminal.cwd, dir), signer);
        const files = [...cpks, cpb].map((file) => writePackage(resolve(terminal.cwd, options.out), file));
        print(terminal, { name, version, files }, () => files.join("\n"));
        return EXIT.done;
      }),
    );

  signing(
    group
      .command("cpi")
      .alias("create-cpi")
      .option("-c, --cpb <file>", "the CPB; without one it is a notary's CPI")
      .requiredOption("-g, --group-policy <file>", "the network's group policy")
      .option("--cpi-name <name>", "what the CPI is called (default: as the CPB's file)")
      .option("--cpi-version <version>", "its version", "1.0.0")
      .option("--out <dir>", "where the file goes", "."),
  )
    .description("Makes a CPI: a CPB for one network.")
    .addHelpText(
      "after",
      "\nExample:\n  bowline package cpi --cpb build/obligation-1.0.0.cpb --group-policy GroupPolicy.json --cpi-name obligation",
    )
    .action(
      act(shell, async (options: CpiOptions, command: Command) => {
        const { packCpi } = await import("./package-files.ts");
        const signer = await chooseSigner(terminal, command.optsWithGlobals<SignerOptions>());
        const file = await packCpi(cpiSource(terminal, options), signer);
        const path = writePackage(resolve(terminal.cwd, options.out), file);
        print(terminal, { file: path }, () => path);
        return EXIT.done;
      }),
    );

  signing(group.command("certificate"))
    .description("Prints the certificate that a network must trust before it takes what this key signs: bowline cpi trust.")
    .action(
      act(shell, async (_options: unknown, command: Command) => {
        const { certificatePem } = await import("./package-files.ts");
        const certificate = certificatePem(await chooseSigner(terminal, command.optsWithGlobals<SignerOptions>()));
        print(terminal, { certificate }, () => certificate);
        return EXIT.done;
      }),
    );
};

interface CpiOptions {
  readonly cpb?: string;
  readonly groupPolicy: string;
  readonly cpiName?: string;
  readonly cpiVersion: string;
  readonly out: string;
}

const signing = (command: Command): Command =>
  command
    .addOption(new Option("-k, --key <file>", "sign with this key: a PEM file of a private key and its certificate chain, leaf first"))
    .addOption(new Option("--dev-key", "sign with this machine's development key (default)").conflicts("key"));

async function chooseSigner(terminal: Terminal, { key, home }: SignerOptions): Promise<JarSigner> {
  const { developmentSigner, signerOfPem } = await import("./package-files.ts");
  if (key !== undefined) return signerOfPem(readText(terminal, key), basename(key).replace(/\.\w+$/, ""));
  const folder = findHome(terminal.cwd, home) ?? resolve(terminal.cwd, HOME_FOLDER);
  terminal.err(`Signing with the development key of ${folder}: --key FILE signs with another.\n`);
  return developmentSigner(folder);
}

function cpiSource(terminal: Terminal, { cpb, groupPolicy, cpiName, cpiVersion: version }: CpiOptions) {
  const name = cpiName ?? (cpb === undefined ? undefined : basename(cpb).replace(/(-[0-9.]+)?\.cpb$/i, ""));
  if (name === undefined) throw usage("cpiName", "Without a CPB, say what the CPI is called: --cpi-name NAME.");
  const policy = readText(terminal, groupPolicy);
  return {
    name,
    version,
    groupPolicy: policy,
    ...(cpb === undefined ? {} : { cpb: { fileName: basename(cpb), bytes: readBytes(terminal, cpb) } }),
  };
}

function writePackage(folder: string, { fileName, bytes }: PackageFile): string {
  const path = join(folder, fileName);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, bytes);
  } catch (thrown) {
    throw usage("file", `${path} cannot be written: ${(thrown as Error).message}.`);
  }
  return path;
}
