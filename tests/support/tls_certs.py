# SPDX-License-Identifier: MIT
# tls_certs.py - certificates for tests, made by the openssl command when they are needed: authorities, chains, ECDSA and RSA,
# any names and dates. Used by tests/integration. Invariant: everything lies in one folder, which goes away with the object.
import os
import subprocess
import tempfile

CURVE = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60, **options).stdout


class Identity:
    """A certificate and its key, in files. subject is the common name."""

    def __init__(self, folder, name, subject):
        self.subject = subject
        self.cert = os.path.join(folder, name + ".crt")
        self.key = os.path.join(folder, name + ".key")
        self.pem = os.path.join(folder, name + ".pem")  # certificate, those behind it, key

    def finish(self, *chain):
        with open(self.pem, "wb") as out:
            for path in (self.cert, *(identity.cert for identity in chain), self.key):
                with open(path, "rb") as part:
                    out.write(part.read())
        return self


class Certs:
    """A folder of certificates."""

    def __init__(self):
        self.held = tempfile.TemporaryDirectory(prefix="peregrine-certs-")
        self.folder = self.held.name
        self.count = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self, name, subject=None, names=(), issuer=None, chain=(), kind=CURVE, is_ca=False, days=2, dates=None, usage=None):
        """dates is (notBefore, notAfter) as openssl ca takes them, instead of days from now."""
        subject = subject or name
        identity = Identity(self.folder, name, subject)
        openssl("genpkey", *kind, "-out", identity.key)
        extensions = ["basicConstraints=critical,CA:TRUE" if is_ca else "basicConstraints=CA:FALSE", "subjectKeyIdentifier=hash"]
        if names:
            extensions.append("subjectAltName=" + ",".join(names))
        if usage:
            extensions.append("extendedKeyUsage=" + usage)
        self.count += 1
        config = self.path(f"{name}.cnf")
        with open(config, "w", encoding="ascii") as file:
            file.write("[req]\ndistinguished_name=name\nprompt=no\n[name]\nCN=" + subject + "\n[v3]\n" + "\n".join(extensions) +
                       f"\n[ca]\ndefault_ca=own\n[own]\ndatabase={config}.db\nserial={config}.serial\nnew_certs_dir={self.folder}\n"
                       "default_md=sha256\npolicy=any\nx509_extensions=v3\nunique_subject=no\n[any]\ncommonName=supplied\n")
        request = self.path(f"{name}.csr")
        openssl("req", "-new", "-config", config, "-key", identity.key, "-out", request)
        signer = issuer or identity
        with open(config + ".db", "w", encoding="ascii"), open(config + ".serial", "w", encoding="ascii") as serial:
            serial.write(f"{0x1000 + self.count:X}\n")
        when = ("-startdate", dates[0], "-enddate", dates[1]) if dates else ("-days", str(days))
        who = ("-cert", issuer.cert) if issuer else ("-selfsign",)
        openssl("ca", "-batch", "-notext", "-config", config, "-keyfile", signer.key, *who, *when, "-in", request,
                "-out", identity.cert)
        return identity.finish(*chain)


EXPIRED = ("20200101000000Z", "20210101000000Z")
