"""The desktop's picture: rings of a powder pattern, in two flat colours, drawn for the size of the screen.

It is painted on the bare screen the moment there is one, and given to Xfce for its background: so the first
frame that arrives is the desktop's own, and stays. Two colours are little to draw and little to send.
"""

from __future__ import annotations

import struct
import zlib
from math import sqrt

GROUND, RINGS = "#15283b", "#1c344b"

#: Where the rings' middle lies, in parts of the screen; radius and width of each, for 1080 lines.
MIDDLE = (0.745, 0.648)
CIRCLES = (
    (0, 52),
    (140, 14),
    (235, 26),
    (330, 8),
    (430, 18),
    (560, 10),
    (640, 30),
    (790, 12),
    (930, 20),
    (1150, 14),
    (1390, 24),
)

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def rows(width: int, height: int) -> list[bytes]:
    """Each line of the picture, a bit a point, the highest bit of a byte to the left."""
    middle_x, middle_y = MIDDLE[0] * width, MIDDLE[1] * height
    scale = max(width / 1920, height / 1080)
    rings = [(scale * (radius - wide / 2), scale * (radius + wide / 2)) for radius, wide in CIRCLES]
    padded = -(-width // 8) * 8
    found = []
    for line in range(height):
        beside, bits = abs(line + 0.5 - middle_y), 0
        for inner, outer in rings:
            if beside >= outer:
                continue
            far = sqrt(outer * outer - beside * beside)
            near = sqrt(inner * inner - beside * beside) if inner > beside else 0.0
            for left, right in ((middle_x - far, middle_x - near), (middle_x + near, middle_x + far)):
                start, end = max(0, round(left)), min(width, round(right))
                if start < end:
                    bits |= ((1 << (end - start)) - 1) << (padded - end)
        found.append(bits.to_bytes(padded // 8, "big"))
    return found


def as_png(picture: list[bytes], width: int) -> bytes:
    """The picture as a PNG of one bit a point."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, len(picture), 1, 3, 0, 0, 0)
    colours = bytes.fromhex(GROUND[1:] + RINGS[1:])
    lines = zlib.compress(b"".join(b"\0" + line for line in picture), 1)
    parts = (part(b"IHDR", header), part(b"PLTE", colours), part(b"IDAT", lines), part(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def as_xbm(picture: list[bytes], width: int) -> bytes:
    """The picture as an X bitmap, which every X server's own tools can paint."""
    bits = b"".join(picture).translate(_MIRRORED).hex(",").replace(",", ",0x")
    head = f"#define w_width {width}\n#define w_height {len(picture)}\nstatic unsigned char w_bits[] = {{\n0x"
    return f"{head}{bits}}};\n".encode()
