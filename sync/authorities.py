"""Which certificate authorities this computer trusts, in the form the driver can read.

The driver brings its own TLS library, which on Windows and macOS does not look into the
system's store; on Linux its built-in folder is seldom the distribution's.
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, Alpine, BSD
)


def file() -> str | None:
    """Return the path of the system's bundle, if it has one."""
    default = ssl.get_default_verify_paths().cafile
    for path in (default, *_BUNDLES):
        if path and Path(path).is_file():
            return path
    return None


def pem() -> str:
    """Return the system store's authorities as PEM, for systems that keep no bundle."""
    if sys.platform == "win32":
        found = [
            data
            for store in ("ROOT", "CA")
            for data, encoding, _ in ssl.enum_certificates(store)
            if encoding == "x509_asn"
        ]
    else:
        found = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(ssl.DER_cert_to_PEM_cert(data) for data in dict.fromkeys(found))
