# SPDX-License-Identifier: MIT
# test_tls_scan.py - what a scanner says of a server of TLS: testssl.sh against arena, without a network. Findings above LOW fail,
# but for those about the throw-away certificate. Without testssl.sh it is skipped, and says so: PER_BROWSER=1 make test installs
# it (Debian: testssl.sh).
# ctest: once serial plain timeout=300
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import tls_certs  # noqa: E402
from harness import Failure, Skip, Suite, check, which  # noqa: E402

suite = Suite("a scanner")
SCAN_S = 200  # a minute where nothing else runs
# Not about the server: the certificate is made for this test, by itself, for two days, for a host without a name.
OF_THE_CERTIFICATE = {
    "cert_trust": "the scanner asks for an address; the certificate is for localhost",
    "cert_chain_of_trust": "signed by itself",
    "cert_expirationStatus": "good for two days",
    "cert_notAfter": "good for two days",
    "cert_revocation": "no authority, so nobody to ask",
    "cert_ocspRevoked": "no authority, so nobody to ask",
    "OCSP_stapling": "no authority, so nothing to staple",
    "DNS_CAArecord": "no name in the DNS",
}


@suite.case("scanner", alone=True)
def testssl_finds_nothing_above_low(t):
    scanner = which("testssl") or which("testssl.sh")
    if scanner is None:
        raise Skip("testssl.sh is not installed")
    certs = tls_certs.Certs()
    localhost = certs.make("localhost", names=("DNS:localhost",))
    report = certs.path("report.json")
    with t.serving(t.arena("--tls-cert", localhost.cert, "--tls-key", localhost.key, "--tls12", backend="auto")) as server:
        run = subprocess.run([scanner, "--quiet", "--warnings", "off", "--color", "0", "--jsonfile", report,
                              "-p", "-s", "-f", "-S", "-U", "--ip", "one", f"127.0.0.1:{server.port}"], capture_output=True,
                             timeout=SCAN_S, check=False, stdin=subprocess.DEVNULL)
    try:
        with open(report, encoding="utf-8") as file:
            findings = json.load(file)
    except (OSError, ValueError) as error:
        raise Failure("a report", f"{error}: {run.stdout[-2000:]!r}") from error
    check(len(findings) > 50, "a whole report", f"{len(findings)} findings: {run.stdout[-2000:]!r}")
    offers = {finding["id"]: finding["finding"] for finding in findings}
    check("offered" in offers.get("TLS1_3", "") and not offers["TLS1_3"].startswith("not"), "TLS 1.3", offers.get("TLS1_3"))
    bad = [(finding["id"], finding["severity"], finding["finding"]) for finding in findings
           if finding["severity"] in ("MEDIUM", "HIGH", "CRITICAL") and finding["id"].split(" ")[0] not in OF_THE_CERTIFICATE]
    check(not bad, "no finding above LOW", bad)


if __name__ == "__main__":
    sys.exit(suite.run())
