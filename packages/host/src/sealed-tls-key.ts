// The one kind of private key that leaves the crypto role, on its way to the one role that serves TLS with it.

import { fromUtf8, utf8 } from "@bowline/base";
import { type BootKey, openSealed, sealTo } from "@bowline/crypto";

const CONTEXT = "tls key";

/** `keyPem`: PKCS#8. */
export const sealTlsKey = (publicKey: Uint8Array, keyPem: string): Uint8Array => sealTo(publicKey, utf8(keyPem), CONTEXT);

export const openTlsKey = (bootKey: BootKey, sealed: Uint8Array): string => fromUtf8(openSealed(bootKey, sealed, CONTEXT));
