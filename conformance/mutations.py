"""What may stand in the place of a piece of Python: one small change each, such as a tired programmer makes."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

WIDTH = 100

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
}
JOINED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.FloorDiv: ast.Mod,
    ast.Mod: ast.FloorDiv,
    ast.Mult: ast.Add,
    ast.Pow: ast.Mult,
}
CALLED = {"any": "all", "all": "any", "min": "max", "max": "min"}
MEMBERS = {
    "Match": ("NO", "UNSURE", "YES"),
    "Reason": ("NO_CONSENT", "OTHER_PURPOSE", "OUTSIDE_PERIOD", "NOT_UNDERSTOOD", "REFUSED", "NOT_CURRENT"),
    "Matter": ("PHOTO", "RECORD", "PROOF"),
    "Policy": ("ALL_NORMAL", "BASIC_NORMAL", "BREAK_GLASS_ONLY", "DENY"),
}


def others(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901, PLR0912  one case for each kind of place
    """What may stand in the place of a node."""
    match node:
        case ast.Compare(left, ops, rest):
            for place, op in enumerate(ops):
                for other in COMPARED[type(op)]:
                    yield ast.Compare(left, [*ops[:place], other(), *ops[place + 1 :]], rest)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for place in range(len(values)):
                kept = [*values[:place], *values[place + 1 :]]
                yield kept[0] if len(kept) == 1 else ast.BoolOp(op, kept)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.If(test, body, orelse) if not isinstance(test, ast.Compare | ast.UnaryOp):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.comprehension(target, source, ifs, is_async):
            for place in range(len(ifs)):
                yield ast.comprehension(target, source, [*ifs[:place], *ifs[place + 1 :]], is_async)
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() as value):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.Constant(str() as value) if value and " " not in value:
            # What holds a space is a sentence for people, and decides nothing.
            yield ast.Constant(f"{value}x")
        case ast.Attribute(ast.Name(owner), name, ctx) if name in MEMBERS.get(owner, ()):
            yield from (ast.Attribute(ast.Name(owner, ctx), one, ctx) for one in MEMBERS[owner] if one != name)
        case ast.Name(name, ctx) if name in CALLED:
            yield ast.Name(CALLED[name], ctx)
        case ast.BinOp(left, joint, right) if type(joint) in JOINED:
            yield ast.BinOp(left, JOINED[type(joint)](), right)
        case ast.Call(function, arguments, keywords):
            for place in range(len(keywords)):
                yield ast.Call(function, arguments, [*keywords[:place], *keywords[place + 1 :]])
        case ast.Return(value) if value is not None and not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case _:
            return


def places(parent: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every place but those that decide nothing when the code runs: annotations, decorators, docstrings."""
    for field, value in ast.iter_fields(parent):
        if field in {"annotation", "returns", "decorator_list", "ctx"}:
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node, ast.AST) and not text and not isinstance(node, ast.Assert | ast.JoinedStr):
                yield parent, field, index, node
                yield from places(node)


@dataclass(frozen=True, slots=True)
class Mutant:
    """`parent`, `field`, `index`: where `new` is put in the place of `old`."""

    path: Path
    number: int
    tree: ast.Module
    parent: ast.AST
    field: str
    index: int | None
    old: ast.AST
    new: ast.AST

    def __str__(self) -> str:
        old, new = (" ".join(ast.unparse(one).split())[:WIDTH] for one in (self.old, self.new))
        return f"{self.path.stem}:{getattr(self.old, 'lineno', '')}  {old}  ->  {new}"

    def code(self) -> CodeType:
        """Changes the tree for good: to be called in a process of its own."""
        value = getattr(self.parent, self.field)
        setattr(self.parent, self.field, self.new) if self.index is None else value.__setitem__(self.index, self.new)
        return compile(ast.fix_missing_locations(self.tree), str(self.path), "exec")


def mutants(path: Path) -> Iterator[Mutant]:
    tree = ast.parse(path.read_text())
    number = 0
    for parent, field, index, old in places(tree):
        for new in others(old):
            yield Mutant(path, number, tree, parent, field, index, old, new)
            number += 1
