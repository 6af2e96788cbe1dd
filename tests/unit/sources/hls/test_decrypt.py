"""AES-128 as HLS has it, anchored at NIST SP 800-38A, F.2.1 (CBC-AES128)."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from stream_app.sources.hls.decrypt import decrypted

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
IV = bytes(range(16))
PLAIN = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
ENCRYPTED = bytes.fromhex("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2")


def encrypted(data: bytes) -> bytes:
    padding, cipher = PKCS7(128).padder(), Cipher(AES128(KEY), CBC(IV)).encryptor()
    return cipher.update(padding.update(data) + padding.finalize()) + cipher.finalize()


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 188 * 50])
@pytest.mark.parametrize("cut", [1, 16, 100, 1 << 20])
def test_chunks_of_any_size_give_the_plain_bytes(size: int, cut: int) -> None:
    plain = bytes(number % 251 for number in range(size))
    data = encrypted(plain)
    chunks = [data[start : start + cut] for start in range(0, len(data), cut)]
    assert b"".join(decrypted(chunks, KEY, IV)) == plain


def test_the_standards_example() -> None:
    padding = encrypted(PLAIN)[len(ENCRYPTED) :]
    assert b"".join(decrypted([ENCRYPTED, padding], KEY, IV)) == PLAIN


@pytest.mark.parametrize(
    "data", [b"", encrypted(PLAIN)[:-1], encrypted(PLAIN)[:-16], encrypted(PLAIN) + b"x"]
)
def test_what_is_not_whole_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not whole"):
        list(decrypted([data], KEY, IV))


def test_another_key_is_noticed() -> None:
    with pytest.raises(ValueError, match="another key"):
        list(decrypted([encrypted(PLAIN)], bytes(16), IV))
