"""The primitives by family, the array functions made of them, and functions with a rule of their own."""

from tinymeta.engine.structure import stop_gradient
from tinymeta.ops import methods as methods
from tinymeta.ops.along import argsort, sort, take_along_axis, topk
from tinymeta.ops.arrange import flip, pad, repeat, roll, tile, unstack
from tinymeta.ops.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from tinymeta.ops.creation import arange, eye, full, full_like, linspace, ones, ones_like, tril, triu, zeros, zeros_like
from tinymeta.ops.einsum import einsum
from tinymeta.ops.elementwise import (
    add,
    divide,
    exp,
    expm1,
    log,
    log1p,
    log2,
    log10,
    multiply,
    negative,
    pow,
    reciprocal,
    scale,
    sqrt,
    square,
    subtract,
)
from tinymeta.ops.embedding import embedding, one_hot
from tinymeta.ops.extrema import argmax, argmin, max, min
from tinymeta.ops.index import take
from tinymeta.ops.linalg import matmul, outer, tensordot, vecdot, vector_norm
from tinymeta.ops.logic import (
    bitwise_and,
    bitwise_invert,
    bitwise_or,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
)
from tinymeta.ops.logistic import log_sigmoid, logaddexp, sigmoid, softplus, tanh
from tinymeta.ops.matrix import cholesky, det, diagonal, inv, matrix_trace, slogdet, solve
from tinymeta.ops.norm import batch_norm, group_norm, layer_norm
from tinymeta.ops.pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
    global_avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from tinymeta.ops.products import cumulative_prod, cumulative_sum, prod
from tinymeta.ops.quantifiers import all, any, count_nonzero
from tinymeta.ops.reduce import mean, std, sum, var
from tinymeta.ops.rounding import ceil, floor, floor_divide, remainder, round, trunc
from tinymeta.ops.scan import scan
from tinymeta.ops.select import abs, clip, maximum, minimum, relu, sign, where
from tinymeta.ops.shape import (
    astype,
    broadcast_to,
    concat,
    expand_dims,
    matrix_transpose,
    moveaxis,
    permute_dims,
    reshape,
    split,
    squeeze,
    stack,
)
from tinymeta.ops.softmax import log_softmax, logsumexp, softmax
from tinymeta.ops.special import erf, erfc, gelu, normal_cdf, silu
from tinymeta.ops.trigonometry import acos, acosh, asin, asinh, atan, atan2, atanh, cos, cosh, hypot, sin, sinh, tan
from tinymeta.ops.write import index_add, index_set

__all__ = [
    "stop_gradient", "argsort", "sort", "take_along_axis", "topk",
    "flip", "pad", "repeat", "roll", "tile", "unstack",
    "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d",
    "arange", "eye", "full", "full_like", "linspace", "ones", "ones_like", "tril", "triu", "zeros", "zeros_like",
    "einsum",
    "add", "divide", "exp", "expm1", "log", "log1p", "log2", "log10", "multiply", "negative", "pow", "reciprocal",
    "scale", "sqrt", "square", "subtract", "embedding", "one_hot", "argmax", "argmin", "max", "min", "take",
    "matmul", "outer", "tensordot", "vecdot", "vector_norm",
    "bitwise_and", "bitwise_invert", "bitwise_or", "bitwise_xor", "equal", "greater", "greater_equal", "isfinite",
    "isinf", "isnan", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "not_equal",
    "log_sigmoid", "logaddexp", "sigmoid", "softplus", "tanh",
    "cholesky", "det", "diagonal", "inv", "matrix_trace", "slogdet", "solve",
    "batch_norm", "group_norm", "layer_norm",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "global_avg_pool2d", "max_pool1d",
    "max_pool2d", "cumulative_prod", "cumulative_sum", "prod", "all", "any", "count_nonzero",
    "mean", "std", "sum", "var", "ceil", "floor", "floor_divide", "remainder", "round", "trunc", "scan",
    "abs", "clip", "maximum", "minimum", "relu", "sign", "where",
    "astype", "broadcast_to", "concat", "expand_dims", "matrix_transpose", "moveaxis", "permute_dims", "reshape",
    "split", "squeeze", "stack", "log_softmax", "logsumexp", "softmax",
    "erf", "erfc", "gelu", "normal_cdf", "silu",
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "hypot", "sin", "sinh", "tan",
    "index_add", "index_set",
]  # fmt: skip
