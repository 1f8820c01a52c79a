"""Whom a connection trusts: the server's certificate is checked, and its name, unless the secret says otherwise.

RDS Proxy and public databases have certificates of public CAs; RDS and Aurora themselves have one of a CA of AWS's own,
which nobody knows who was not given it: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

CA_FILE = "warehouse-ca.pem"
"""Beside the datasets: what is trusted instead of the public CAs."""
_PEM = "-----BEGIN CERTIFICATE-----"


def tls_of(secret: Mapping[str, Any], datasets: Path) -> dict[str, str]:
    """Parameters of libpq: `sslmode` is the secret's, or verify-full; trusted is `sslrootcert` of the secret (PEM, or
    a file's name), else CA_FILE, else the public CAs.

    Raises ValueError for an `sslrootcert` that is neither.
    """
    mode = str(secret.get("sslmode", "verify-full"))
    if not mode.startswith("verify-"):
        return {"sslmode": mode}  # With a root certificate beside it libpq would verify all the same.
    given = str(secret.get("sslrootcert", ""))
    if _PEM in given:
        return {"sslmode": mode, "sslrootcert": str(_kept(given))}
    if given and not Path(given).is_file():
        raise ValueError("sslrootcert")
    beside = datasets / CA_FILE
    return {"sslmode": mode, "sslrootcert": given or (str(beside) if beside.is_file() else _public())}


def _kept(pem: str) -> Path:
    """A file, as libpq wants it: one for each content, so that a changed secret is not read from the old one."""
    kept = Path(tempfile.gettempdir()) / f"penstock-ca-{blake2b(pem.encode(), digest_size=16).hexdigest()}.pem"
    if not kept.is_file():
        half = Path(tempfile.mkdtemp(dir=kept.parent)) / kept.name
        half.write_text(pem)
        half.replace(kept)
        half.parent.rmdir()
    return kept


def _public() -> str:
    # Not sslrootcert=system: the wheel's own OpenSSL looks where the machine that built it has them.
    import certifi

    return certifi.where()
