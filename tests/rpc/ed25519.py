"""Ed25519 signing in a page (RFC 8032, section 5.1), so that the tests sign without the code they test. Slow, and not for
secrets: the keys of the development chain are public."""
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    """Sum of two points in extended coordinates (RFC 8032, 5.1.4)."""
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    m = (y1 - x1) * (y2 - x2) % P
    n = (y1 + x1) * (y2 + x2) % P
    c = t1 * 2 * D * t2 % P
    d = z1 * 2 * z2 % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def base_point():
    y = 4 * pow(5, P - 2, P) % P
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    x = x if x % 2 == 0 else P - x
    return x, y, 1, x * y % P


def multiply(scalar):
    total, power = (0, 1, 1, 0), base_point()
    while scalar:
        if scalar & 1:
            total = add(total, power)
        power = add(power, power)
        scalar >>= 1
    return total


def encode(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, 'little')


def secret(seed):
    h = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(h[:32], 'little') & (2**254 - 8) | 2**254
    return scalar, h[32:]


def public_key(seed):
    return encode(multiply(secret(seed)[0]))


def sign(seed, message):
    scalar, prefix = secret(seed)
    public = encode(multiply(scalar))
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), 'little') % L
    point = encode(multiply(r))
    k = int.from_bytes(hashlib.sha512(point + public + message).digest(), 'little') % L
    return point + ((r + k * scalar) % L).to_bytes(32, 'little')
