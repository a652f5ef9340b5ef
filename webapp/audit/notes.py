"""Signed notes and their keys, in the form of https://c2sp.org/signed-note with Ed25519."""

import base64
import binascii
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from webapp.failures import NoteRefused

ED25519 = b"\x01"  # the type of signature, before the key itself
ID_BYTES, KEY_BYTES = 4, 32
SECRET = "PRIVATE+KEY"  # noqa: S105 - before a signing key, as Go's sumdb/note writes it
DASH = "— "  # before a signature


class VerifierKey(NamedTuple):
    """The public key that checks notes, with the name of its owner."""

    name: str
    key: bytes

    @property
    def id(self) -> bytes:
        return sha256(f"{self.name}\n".encode() + ED25519 + self.key).digest()[:ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_base64(ED25519 + self.key)}"


class SigningKey(NamedTuple):
    """The private key that signs notes, with the name of its owner."""

    name: str
    seed: bytes

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self._private.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Return a signed note; the text ends with a line break."""
        signature = self.verifier.id + self._private.sign(text.encode())
        return f"{text}\n{DASH}{self.name} {_base64(signature)}\n"

    def secret(self) -> str:
        """Return the text to keep in a file that only its owner can read."""
        key_id = self.verifier.id.hex()
        return f"{SECRET}+{self.name}+{key_id}+{_base64(ED25519 + self.seed)}"

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def read_signing_key(secret: str) -> SigningKey:
    """Return the key in the text of `SigningKey.secret`; raises NoteRefused."""
    key = SigningKey(*_parts(secret.removeprefix(f"{SECRET}+")))
    if key.secret() != secret:
        raise NoteRefused("not a signing key")
    return key


def read_verifier_key(text: str) -> VerifierKey:
    """Return the key in a text such as `name+1a2b3c4d+base64`; raises NoteRefused."""
    key = VerifierKey(*_parts(text))
    if str(key) != text:
        raise NoteRefused("not a verifier key")
    return key


def opened(note: str, key: VerifierKey) -> str:
    """Return the text of a note that the key has signed; raises NoteRefused.

    Signatures of other keys are ignored.
    """
    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines() if separator and note.endswith("\n") else ():
        name, _, encoded = line.removeprefix(DASH).rpartition(" ")
        signature = _decoded(encoded)
        if not line.startswith(DASH) or (name, signature[:ID_BYTES]) != (key.name, key.id):
            continue
        try:
            public = Ed25519PublicKey.from_public_bytes(key.key)
            public.verify(signature[ID_BYTES:], text.encode())
        except (InvalidSignature, ValueError):
            raise NoteRefused("its signature does not match its text") from None
        return text
    raise NoteRefused(f"not signed by the key {key.name}+{key.id.hex()}")


def _parts(text: str) -> tuple[str, bytes]:
    """Return the name and the key in a text of both; the key has the right length."""
    name, *encoded = text.strip().split("+", 2)
    key = _decoded(encoded[-1]) if encoded else b""
    if len(key) != 1 + KEY_BYTES or not name:
        raise NoteRefused("not a key of the form name+id+base64")
    return name, key[1:]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
