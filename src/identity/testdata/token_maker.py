# SPDX-License-Identifier: Apache-2.0
"""RSA and P-256 keys from seeds, and signatures without chance, in plain Python: the same tokens each time, and no
private key to keep. Slow, and for tests alone."""
import base64
import hashlib
import hmac
import json
import random

PREFIX = {"sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
          "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
          "sha512": bytes.fromhex("3051300d060960864801650304020305000440")}
P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
G = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
     0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)


def b64(data):
    data = data if isinstance(data, bytes) else data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n, size=None):
    return b64(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))


def probably_prime(n, rng):
    if any(n % p == 0 for p in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(12):
        x = pow(rng.randrange(2, n - 1), odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


class Rsa:
    def __init__(self, seed, bits=2048, e=65537):
        rng = random.Random(seed)

        def prime(size):
            while True:
                p = rng.getrandbits(size) | 3 << size - 2 | 1
                if p % e != 1 and probably_prime(p, rng):
                    return p
        self.p, self.q = prime((bits + 1) // 2), prime(bits // 2)
        self.n, self.e = self.p * self.q, e
        self.d = pow(e, -1, (self.p - 1) * (self.q - 1))
        self.size = (self.n.bit_length() + 7) // 8

    def jwk(self, kid, **more):
        return dict(kty="RSA", kid=kid, n=number(self.n), e=number(self.e), **more)

    def power(self, block):
        return pow(int.from_bytes(block, "big"), self.d, self.n).to_bytes(self.size, "big")

    def pkcs1(self, message, digest="sha256"):
        end = PREFIX[digest] + hashlib.new(digest, message).digest()
        return self.power(b"\0\1" + b"\xff" * (self.size - 3 - len(end)) + b"\0" + end)

    def pss(self, message, salt_size=32):
        salt = hashlib.sha512(message).digest()[:salt_size]
        digest = hashlib.sha256(b"\0" * 8 + hashlib.sha256(message).digest() + salt).digest()
        plain = b"\0" * (self.size - salt_size - 34) + b"\1" + salt
        mask = b"".join(hashlib.sha256(digest + i.to_bytes(4, "big")).digest() for i in range(self.size // 32 + 1))
        masked = bytearray(a ^ b for a, b in zip(plain, mask))
        masked[0] &= 0x7f
        return self.power(bytes(masked) + digest + b"\xbc")


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and a[1] != b[1]:
        return None
    slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(k, point):
    out = None
    while k:
        out = add(out, point) if k & 1 else out
        point, k = add(point, point), k >> 1
    return out


class Ec:
    def __init__(self, seed):
        self.d = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big") % N
        self.point = times(self.d, G)

    def jwk(self, kid, **more):
        return dict(kty="EC", crv="P-256", kid=kid, x=number(self.point[0], 32), y=number(self.point[1], 32), **more)

    def halves(self, message):
        z = int.from_bytes(hashlib.sha256(message).digest(), "big")
        k = int.from_bytes(hmac.digest(self.d.to_bytes(32, "big"), message, "sha256"), "big") % N
        r = times(k, G)[0] % N
        return r, pow(k, -1, N) * (z + r * self.d) % N

    def sign(self, message):
        r, s = self.halves(message)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def token(head, claims, sign):
    """Both as values, or as the text that is to stand there; sign: bytes to bytes."""
    text = ".".join(b64(part if isinstance(part, (str, bytes)) else compact(part)) for part in (head, claims))
    return text + "." + b64(sign(text.encode()))
