"""AES-128 of HLS: CBC over a whole segment, padded to the block (PKCS7)."""

from collections.abc import Iterable, Iterator

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7


def decrypted(chunks: Iterable[bytes], key: bytes, iv: bytes) -> Iterator[bytes]:
    """Yield the plain bytes of a segment that comes in `chunks` of any size.

    Raises:
        ValueError: the key has not 16 bytes, the segment was encrypted with another one, or it is not whole.
    """
    cipher = Cipher(AES128(key), CBC(iv)).decryptor()
    padding = PKCS7(AES128.block_size).unpadder()
    for chunk in chunks:
        yield padding.update(cipher.update(chunk))
    try:
        rest = padding.update(cipher.finalize()) + padding.finalize()
    except ValueError as error:
        raise ValueError("it was encrypted with another key or IV, or it is not whole") from error
    yield rest
