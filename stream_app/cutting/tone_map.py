"""From the light of a source to the light of BT.709: high dynamic range and wide gamut made ordinary.

What is done, to R'G'B', by a table of 36 x 36 x 36 colours between which FFmpeg's `haldclut` interpolates:

1. The code values become light. PQ (SMPTE ST 2084) is in cd/m2 as it stands; HLG (ARIB STD-B67) is shown
   as on a display of 1,000 cd/m2 with the system gamma of 1.2 that ITU-R BT.2100 gives for it; everything
   else has the gamma of 2.4 of ITU-R BT.1886.
2. The primaries become those of BT.709 by a matrix in linear light; what no BT.709 display can show is cut
   off at 0, the plain way of ITU-R BT.2407.
3. Of high dynamic range, 203 cd/m2 become the white of BT.709: ITU-R BT.2408's level of a sheet of white
   paper. What is brighter is rolled off by the curve of ITU-R BT.2390 (section 5.4.1), from the
   source's peak to that white; it acts on the largest of R, G and B, and the other two follow in
   proportion, so no hue changes. Below the knee (94 cd/m2 for a peak of 1,000) nothing changes. The peak is
   the content's own as its metadata tell (MaxCLL, or the mastering display's peak when that is lower
   or alone), else 1,000; HLG's is 1,000.
4. The light becomes code values by the inverse of BT.1886.

Triggered by the tags of each frame alone: transfer 16 (PQ) or 18 (HLG), or primaries 9 (BT.2020), 11 or 12
(P3). The primaries of BT.601 (5, 6, 7) and untold ones are shown as they are: they are near
BT.709's, and a table for each old video would cost more than it shows.

Numbers of tags are those of ITU-T H.273.
"""

import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from math import exp

import av

PQ, HLG = 16, 18
BT709, BT2020, P3_CINEMA, P3_DISPLAY = 1, 9, 11, 12

DEFAULT_PEAK = 1000
"""cd/m2: what most of HDR10 is mastered to, and the display that BT.2100 defines HLG on."""

WHITE = 203
"""cd/m2: BT.2408's HDR reference white."""

PQ_PEAK = 10_000
LEVEL = 6
"""Of the Hald image: LEVEL**2 steps a colour. The picture is then within 3 of 255 of the formulas, 2 in the
middle; only the weakest part of a colour at the very edge of BT.709 comes out up to 50 for 0, which is 2 % of
its light. Level 8 halves that for five times the work."""

STEPS, SIDE = LEVEL**2, LEVEL**3
HALD_FORMAT = "gbrpf32le"
"""Of the table and of what is sent through it. FFmpeg 8's `haldclut` takes the planes of whole-number formats
for one another: red came out blue."""

DISPLAY_GAMMA, HLG_GAMMA = 2.4, 1.2
# BT.2100, table 4.
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
# BT.2100, table 5.
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_BT2020_LUMA = (0.2627, 0.6780, 0.0593)

_GREEN_BLUE_RED = (1, 2, 0)

_Triple = tuple[float, float, float]
_Matrix = tuple[_Triple, _Triple, _Triple]

# Linear light of the source's primaries into BT.709's; all with the white D65 (cinema's P3 is taken for
# display's, as files with it are made for displays). From BT.2087 and SMPTE EG 432-1.
_FROM_BT2020: _Matrix = (
    (1.660491, -0.587641, -0.072850),
    (-0.124550, 1.132900, -0.008349),
    (-0.018151, -0.100579, 1.118730),
)
_FROM_P3: _Matrix = (
    (1.224940, -0.224940, 0.0),
    (-0.042057, 1.042057, 0.0),
    (-0.019638, -0.078636, 1.098274),
)
_FROM_BT709: _Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Light:
    """What the code values of a frame stand for, where it is not what BT.709 means by them.

    Attributes:
        transfer: `PQ`, `HLG`, or any other tag for ordinary range.
        primaries: tag of the primaries.
        peak: of the content, cd/m2; of no meaning in ordinary range.
    """

    transfer: int
    primaries: int
    peak: int = DEFAULT_PEAK

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Light | None":
        """The light of `frame`; None for one to be shown as it is."""
        transfer, primaries = int(frame.color_trc), int(frame.color_primaries)
        if transfer in {PQ, HLG}:
            known = primaries if primaries in {BT709, P3_CINEMA, P3_DISPLAY} else BT2020
            return cls(transfer, known, _peak(frame) if transfer == PQ else DEFAULT_PEAK)
        if primaries in {BT2020, P3_CINEMA, P3_DISPLAY}:
            return cls(BT709, primaries)
        return None


def _peak(frame: av.VideoFrame) -> int:
    told = [peak for peak in (_content_peak(frame), _mastering_peak(frame)) if peak > 0]
    return max(WHITE, min([*told, PQ_PEAK])) if told else DEFAULT_PEAK


def _content_peak(frame: av.VideoFrame) -> int:
    """MaxCLL of FFmpeg's AVContentLightMetadata; 0 is untold."""
    data = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    return struct.unpack_from("I", data)[0] if data else 0


def _mastering_peak(frame: av.VideoFrame) -> int:
    """The peak in FFmpeg's AVMasteringDisplayMetadata: of ten rationals the last, then two flags."""
    data = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    if not data:
        return 0
    *_, numerator, denominator, _, has_luminance = struct.unpack_from("20i2i", data)
    return round(numerator / denominator) if has_luminance and denominator else 0


def _side_data(frame: av.VideoFrame, kind: str) -> bytes:
    return bytes(frame.side_data.get(kind, b""))  # type: ignore[call-overload, no-any-return] # av's stubs


@lru_cache(maxsize=8)
def hald(light: Light) -> av.VideoFrame:
    """The table for `light` as a Hald image of `HALD_FORMAT`, for `haldclut`; 0.2 s once a process."""
    codes = [step / (STEPS - 1) for step in range(STEPS)]
    convert = converter(light)
    # Red runs fastest.
    table = [convert((red, green, blue)) for blue, green, red in product(codes, repeat=3)]
    image = av.VideoFrame(SIDE, SIDE, HALD_FORMAT)
    image.pts = 0
    for plane, colour in zip(image.planes, _GREEN_BLUE_RED, strict=True):
        values = array("f", (entry[colour] for entry in table))
        pad = bytes(plane.line_size - values.itemsize * SIDE)
        plane.update(b"".join(values[at : at + SIDE].tobytes() + pad for at in range(0, len(values), SIDE)))
    return image


def converter(light: Light) -> Callable[[_Triple], _Triple]:
    """The function from R'G'B' of `light` to R'G'B' of BT.709, each 0 to 1."""
    linear, matrix = _linear(light), _matrix(light.primaries)
    gain = partial(_gain, peak=light.peak) if light.transfer in {PQ, HLG} else _no_gain

    def convert(coded: _Triple) -> _Triple:
        red, green, blue = linear(coded)
        narrow = [max(0.0, row[0] * red + row[1] * green + row[2] * blue) for row in matrix]
        factor = gain(max(narrow))
        red, green, blue = (min(1.0, value * factor) ** (1 / DISPLAY_GAMMA) for value in narrow)
        return red, green, blue

    return convert


def _linear(light: Light) -> Callable[[_Triple], _Triple]:
    """From code values to light in which 1 is the white of BT.709."""
    if light.transfer == HLG:
        return _hlg_linear
    one = pq_light if light.transfer == PQ else _gamma_light
    return lambda coded: (one(coded[0]), one(coded[1]), one(coded[2]))


def pq_light(code: float) -> float:
    """The light of a PQ code value of 0 to 1, in units of `WHITE`."""
    root = code ** (1 / _M2)
    return PQ_PEAK / WHITE * (max(0.0, root - _C1) / (_C2 - _C3 * root)) ** (1 / _M1)  # type: ignore[no-any-return]


def pq_code(light: float) -> float:
    """The PQ code value of light in units of `WHITE`."""
    root = (light * WHITE / PQ_PEAK) ** _M1
    return ((_C1 + _C2 * root) / (1 + _C3 * root)) ** _M2  # type: ignore[no-any-return]


def _gamma_light(code: float) -> float:
    return code**DISPLAY_GAMMA  # type: ignore[no-any-return]


def _hlg_linear(coded: _Triple) -> _Triple:
    scene = [value**2 / 3 if value <= 1 / 2 else (exp((value - _C) / _A) + _B) / 12 for value in coded]
    luma = sum(weight * value for weight, value in zip(_BT2020_LUMA, scene, strict=True))
    display = DEFAULT_PEAK / WHITE * luma ** (HLG_GAMMA - 1)
    red, green, blue = (display * value for value in scene)
    return red, green, blue


def _gain(light: float, *, peak: int) -> float:
    """By how much BT.2390 multiplies light of this level; its black level is 0."""
    if light <= 0:
        return 1.0
    top = pq_code(peak / WHITE)
    target = pq_code(1.0) / top
    knee = 1.5 * target - 0.5
    code = min(1.0, pq_code(light) / top)
    if code < knee or peak <= WHITE:
        return 1.0
    way = (code - knee) / (1 - knee)
    rolled = (
        (2 * way**3 - 3 * way**2 + 1) * knee
        + (way**3 - 2 * way**2 + way) * (1 - knee)
        + (3 * way**2 - 2 * way**3) * target
    )
    return pq_light(rolled * top) / light


def _no_gain(_: float) -> float:
    return 1.0


def _matrix(primaries: int) -> _Matrix:
    if primaries == BT2020:
        return _FROM_BT2020
    return _FROM_BT709 if primaries == BT709 else _FROM_P3
