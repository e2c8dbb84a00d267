"""Sizes and guards: Python that torch.export writes into a program as text, and runs when it reads the program.

torch passes sizes to sympy's `sympify`, which calls `eval`, and guards to `exec`. Both are parsed here, and only
arithmetic on names, numbers and an input's shape is accepted.
"""

from __future__ import annotations

import ast
import re

MAX_LENGTH = 2000
MAX_DIGITS = 20
MAX_POWER = 64
MAX_POWERS = 2  # nested: with more, the number would have more digits than memory has bytes

# A size's name, such as s77 or u0: bare in older files, Symbol('s77', positive=True, integer=True) in newer ones.
SYMBOL = re.compile(r"^[a-z]{1,4}\d{1,6}$")
DECIMAL = re.compile(r"^-?\d{1,20}(\.\d{0,20})?(e[+-]?\d{1,3})?$")
CONSTANTS = {"True", "False", "true", "false", "oo", "int_oo", "nan", "zoo", "L", "math"}
# Functions of sympy, in both of its printed forms, and of torch.utils._sympy.functions.
FUNCTIONS = {
    *("Abs", "Add", "And", "CeilDiv", "CeilToInt", "CleanDiv", "Eq", "Equality", "ExprCondPair", "Float"),
    *("FloatPow", "FloatTrueDiv", "FloorDiv", "FloorToInt", "Ge", "GreaterThan", "Gt", "Identity"),
    *("IntTrueDiv", "Integer", "IsNonOverlappingAndDenseIndicator", "LShift", "Le", "LessThan", "Lt", "Max"),
    *("Min", "Mod", "ModularIndexing", "Mul", "Ne", "Not", "Or", "Piecewise", "Pow", "PowByNatural"),
    *("PythonMod", "RShift", "Rational", "RoundDecimal", "RoundToInt", "StrictGreaterThan", "StrictLessThan"),
    *("Symbol", "ToFloat", "TruncToFloat", "TruncToInt", "Unequality", "Where", "ceiling", "floor", "sqrt"),
}
ASSUMPTIONS = {
    "positive",
    "integer",
    "nonnegative",
    "negative",
    "nonzero",
    "real",
    "finite",
    "even",
    "odd",
    "precision",
}
POWERS = {"FloatPow", "LShift", "Pow", "PowByNatural", "RShift"}
METHODS = {"size", "stride", "storage_offset", "dim", "numel", "item"}
KEY = re.compile(r"^\w[\w. -]*$")

ARITHMETIC = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Tuple, ast.Load),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr, ast.BitXor),
    *(ast.USub, ast.UAdd, ast.Invert, ast.Not, ast.And, ast.Or),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)


def is_size(text: str) -> bool:
    """Whether `text` is arithmetic on the names of sizes."""
    tree = parsed(text)
    return (
        tree is not None
        and not {"L", "math"} & names(tree)
        and all(is_harmless(node, guard=False) for node in ast.walk(tree))
    )


def is_guard(text: str) -> bool:
    """Whether `text` compares shapes of the program's inputs, as in `L['x'].size()[0] >= 1`."""
    tree = parsed(text)
    return tree is not None and all(is_harmless(node, guard=True) for node in ast.walk(tree))


def parsed(text: str) -> ast.Expression | None:
    if len(text) > MAX_LENGTH:
        return None
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if powers(tree.body) <= MAX_POWERS else None


def names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def is_harmless(node: ast.AST, guard: bool) -> bool:
    """Whether one node is harmless; its children are checked on their own."""
    match node:
        case ast.BinOp(op=ast.Pow(), right=right):
            return is_small(right)
        case ast.Constant(value=str(value)):
            return (
                SYMBOL.match(value) is not None
                or DECIMAL.match(value) is not None
                or (guard and KEY.match(value) is not None)
            )
        case ast.Constant(value=value):
            return isinstance(value, (bool, int, float)) and len(repr(value)) <= MAX_DIGITS
        case ast.Name(id=name):
            return name in FUNCTIONS | CONSTANTS or SYMBOL.match(name) is not None
        case ast.keyword(arg=name, value=ast.Constant(value=bool() | int())):
            return name in ASSUMPTIONS
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return name in FUNCTIONS and (name not in POWERS or all(is_small(part) for part in arguments[1:]))
        case ast.Call(func=ast.Attribute(attr=name), keywords=[]):
            return guard and name in METHODS
        case ast.Attribute(attr=name):
            return guard and name in METHODS | {"shape", "ndim", "inf"}
        case ast.Subscript(slice=ast.Constant()):
            return guard
    return isinstance(node, ARITHMETIC)


def is_small(node: ast.AST) -> bool:
    """Whether an exponent is a small number, or a size's name, whose power sympy does not evaluate."""
    if isinstance(node, ast.UnaryOp):
        return is_small(node.operand)
    if isinstance(node, ast.Name):
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id == "Symbol" or (node.func.id == "Integer" and all(is_small(part) for part in node.args))
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and abs(node.value) <= MAX_POWER


def powers(node: ast.AST) -> int:
    """How deeply powers are nested."""
    own = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)
    own = own or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in POWERS)
    return int(own) + max((powers(child) for child in ast.iter_child_nodes(node)), default=0)
