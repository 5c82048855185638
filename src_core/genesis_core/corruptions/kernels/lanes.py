"""Vector operations that LLVM does not find in plain loops: short rows, table look-ups, hashed noise.

Each is written once in LLVM's own portable vector types, so every CPU gets the widest form it has. They do no bounds
checks of their own; callers touch the last element first, which costs nothing unless numba's bounds checks are on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import llvmlite.ir as ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic as untyped_intrinsic

from genesis_core.randomness import GOLDEN, MIX_1, MIX_2

intrinsic = cast(Callable[[Callable[..., Any]], Callable[..., Any]], untyped_intrinsic)

# Voxels per row operation and per look-up, and per noise operation (two to a 64-bit hash).
LANES = 8
NOISE_LANES = 16

_F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_F32_LANES, _I32_LANES = ir.VectorType(_F32, LANES), ir.VectorType(_I32, LANES)
_I64_LANES, _F32_NOISE = ir.VectorType(_I64, LANES), ir.VectorType(_F32, NOISE_LANES)
_I32_NOISE = ir.VectorType(_I32, NOISE_LANES)


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any, vector: ir.VectorType) -> Any:
    return builder.bitcast(builder.gep(_data(context, builder, kind, array), [index]), vector.as_pointer())


def _splat(builder: Any, value: Any, vector: ir.VectorType) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count))


def _between(builder: Any, low: Any, high: Any, vector: ir.VectorType) -> Any:
    lane = ir.Constant(vector, list(range(vector.count)))
    above = builder.icmp_signed(">=", lane, _splat(builder, builder.trunc(low, _I32), vector))
    below = builder.icmp_signed("<", lane, _splat(builder, builder.trunc(high, _I32), vector))
    return builder.and_(above, below)


@intrinsic
def copy_lanes(typing: Any, target: Any, at: Any, source: Any, start: Any) -> Any:
    """`target[at:at+8] = source[start:start+8]`, float32."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        read = _pointer(context, builder, kinds[2], arguments[2], arguments[3], _F32_LANES)
        write = _pointer(context, builder, kinds[0], arguments[0], arguments[1], _F32_LANES)
        builder.store(builder.load(read, align=4), write, align=4)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp), codegen


@intrinsic
def blend_lanes(typing: Any, target: Any, at: Any, source: Any, start: Any, count: Any) -> Any:
    """`target[at:at+count] = source[start:start+count]`, float32, count up to 8; the rest is rewritten as it is."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        read = _pointer(context, builder, kinds[2], arguments[2], arguments[3], _F32_LANES)
        write = _pointer(context, builder, kinds[0], arguments[0], arguments[1], _F32_LANES)
        new, old = builder.load(read, align=4), builder.load(write, align=4)
        inside = _between(builder, ir.Constant(_I64, 0), arguments[4], _I32_LANES)
        builder.store(builder.select(inside, new, old), write, align=4)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp, types.intp), codegen


@intrinsic
def lerp_lanes(typing: Any, target: Any, source: Any, at: Any, scale: Any, base: Any, slope: Any) -> Any:
    """Look 8 values up: `target = base[cell] + fraction * slope[cell]`, with cell = int(source * scale).

    Lanes whose cell is refined elsewhere (not a number) keep the source's value; the int64 returned has their bits set.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        read = _pointer(context, builder, kinds[1], arguments[1], arguments[2], _F32_LANES)
        write = _pointer(context, builder, kinds[0], arguments[0], arguments[2], _F32_LANES)
        values = builder.load(read, align=4)
        scaled = builder.fmul(values, _splat(builder, arguments[3], _F32_LANES))
        cell = builder.fptosi(scaled, _I32_LANES)
        fraction = builder.fsub(scaled, builder.sitofp(cell, _F32_LANES))
        tables = [_data(context, builder, kinds[item], arguments[item]) for item in (4, 5)]
        found = [ir.Constant(_F32_LANES, ir.Undefined)] * 2
        # Lane by lane: a CPU's own gather instruction is slower than this on many.
        for lane in range(LANES):
            index = builder.zext(builder.extract_element(cell, ir.Constant(_I32, lane)), _I64)
            for item, table in enumerate(tables):
                value = builder.load(builder.gep(table, [index]))
                found[item] = builder.insert_element(found[item], value, ir.Constant(_I32, lane))
        result = builder.fadd(found[0], builder.fmul(fraction, found[1]))
        unknown = builder.fcmp_unordered("uno", result, result)
        builder.store(builder.select(unknown, values, result), write, align=4)
        return builder.zext(builder.bitcast(unknown, ir.IntType(LANES)), _I64)

    return types.int64(target, source, types.intp, types.float32, base, slope), codegen


@intrinsic
def noise_lanes(typing: Any, target: Any, at: Any, low: Any, high: Any, key: Any, first: Any) -> Any:
    """Write hashed noise to lanes low..high of `target[at:at+16]`: 8 outputs of the stream, from counter `first` on.

    An output gives two voxels, its low half first; the upper 23 bits of a half are the fraction of a float in [0, 1).
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def word(value: int) -> Any:
            return ir.Constant(_I64_LANES, [value] * LANES)

        golden = word(GOLDEN)
        counter = builder.add(
            _splat(builder, arguments[5], _I64_LANES), ir.Constant(_I64_LANES, list(range(1, LANES + 1)))
        )
        value = builder.add(_splat(builder, arguments[4], _I64_LANES), builder.mul(counter, golden))
        value = builder.mul(builder.xor(value, builder.lshr(value, word(30))), word(MIX_1))
        value = builder.mul(builder.xor(value, builder.lshr(value, word(27))), word(MIX_2))
        value = builder.xor(value, builder.lshr(value, word(31)))
        # 23 random bits under the exponent of 1.0 make a float in [1, 2).
        value = builder.or_(
            builder.and_(builder.lshr(value, word(9)), word(0x007FFFFF007FFFFF)), word(0x3F8000003F800000)
        )
        noise = builder.fsub(builder.bitcast(value, _F32_NOISE), ir.Constant(_F32_NOISE, [1.0] * NOISE_LANES))
        write = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], _F32_NOISE)
        inside = _between(builder, arguments[2], arguments[3], _I32_NOISE)
        builder.store(builder.select(inside, noise, builder.load(write, align=4)), write, align=4)
        return context.get_dummy_value()

    return types.void(target, types.intp, types.intp, types.intp, types.uint64, types.uint64), codegen
