#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Derive mutants from the kernel's source: mechanical.yaml says where, the operators below say how.

libclang tells what an expression is (a namespace, a comparison of two, a check of a right); the edit itself wraps the
text as it stands in a function of mechanical/netns_mechanical.h with the number that selects it. Wrapping adds text and
takes none away, so that edits nest, lines keep their numbers, and all mutants live in one image.

What stands in a macro is edited where it is written as an argument, and left alone where the macro itself has it.
"""

from __future__ import annotations

import bisect
import ctypes
import dataclasses
import random
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Optional

import plain_yaml

sys.path.append("/usr/lib/python3/dist-packages")  # where Debian has it, for a Python that is not Debian's

try:
    from clang import cindex
    from clang.cindex import CursorKind as Kind
except ImportError:  # the tests of what needs no parser, and build.py's list of missing packages
    cindex = None

HERE = Path(__file__).resolve().parent
FIRST = 10001
HEADER = "net/netns_mechanical.h"

OPERATORS = {
    "init-net": "a namespace is replaced by the initial one",
    "other-net": "a namespace is replaced by that of another device, socket or argument at hand",
    "no-comparison": "a comparison of two namespaces, or of their owners, always says that they are the same",
    "no-capability": "a check of a right always says yes",
    "no-check": "a check that would end the function, or go on to the next object, is left out",
    "negated": "a condition is turned round",
    "dropped": "a statement is left out",
    "short-loop": "a loop misses the last element",
}

CAPABILITY = re.compile(r"^(ns_capable\w*|capable|file_ns_capable|sk_(ns_|net_)?capable|__?netlink_(ns_|net_)?capable|netlink_(ns_|net_)?capable|sockopt_(ns_)?capable|ptrace_may_access)$")
# A condition, a call or a loop of a function that is not about namespaces as a whole has to name one of these.
ABOUT = re.compile(r"\bnet\b|\w_net\b|net_eq|netns|nsid|init_net|capable|user_ns|NETNS|nsproxy|ns_common|pernet|ucount")
TELLS = re.compile(r"notify|rtmsg|ifinfo|event|multicast|broadcast|_pnet|net_set|set_net|nsid|netns|flush|move|put_net")
# Without these a function crashes, hangs or leaks memory, which says nothing about namespaces.
HARMFUL = re.compile(
    r"lock|unlock|rcu_|mutex|barrier|free|(^|_)(hold|drop|release|get|put)(_|$)|WARN|BUG|print|pr_|dbg|trace|assert|ASSERT|cond_resched|schedule|"
    r"synchronize|atomic|refcount|local_bh|tracker|init|INIT|list_(del|add|move|splice)|hlist|memcpy|memset|nla_nest|nlmsg_end|genlmsg_end|stats|might_"
)
# Only what is left of these after an error or a NULL would be a crash.
PLAIN_ERROR = re.compile(r"^(!?\s*)?(unlikely\(|likely\()?\s*!?\s*(IS_ERR\w*\(.*|(\(?\s*)?(err|ret|rc|error|res|rv|retval|status|skb|nskb)\b.*|.*[=!]= NULL|.*\bERR_PTR\b.*)$", re.DOTALL)
SKIPPED = re.compile(r"(_net_init|_init_net|_net_exit|_exit_net|_pernet_\w+|_net_pre_exit|_net_exit_batch\w*|_module_init|_init_module)$")
UNFIT = re.compile(r"netns_mutant|IS_ENABLED|__builtin|BUILD_BUG|^\s*#", re.MULTILINE)
REFERENCE = re.compile(r"(^|_)(get|put|hold|drop|free|lock|unlock|tracker|alloc)(_|$)|maybe_get")
# Macros whose argument makes no difference worth a mutant: counters, and what only asks whether it is an error.
COUNTS = re.compile(r"(\w*(STATS?|MIB)(_\w+)?|sock_prot_inuse_add|IS_ERR\w*|PTR_ERR)\s*\([^()]*$")

# Loops of the kernel's lists: which arguments say that `pos` is the last.
LOOPS: dict[str, Callable[..., str]] = {}
for _suffix in ("", "_rcu", "_rtnl", "_bh"):
    LOOPS[f"list_for_each_entry{_suffix}"] = lambda pos, head, member, *_: f"list_is_last(&({pos})->{member}, {head})"
    LOOPS[f"hlist_for_each_entry{_suffix}"] = lambda pos, head, member, *_: f"!({pos})->{member}.next"
    LOOPS[f"for_each_netdev{_suffix}"] = lambda net, dev: f"list_is_last(&({dev})->dev_list, &({net})->dev_base_head)"
    LOOPS[f"for_each_net{_suffix}"] = lambda net: f"list_is_last(&({net})->list, &net_namespace_list)"
    LOOPS[f"sk_for_each{_suffix}"] = lambda sk, *_: f"!({sk})->sk_node.next"
LOOPS["list_for_each_entry_safe"] = lambda pos, _, head, member: f"list_is_last(&({pos})->{member}, {head})"
LOOPS["hlist_for_each_entry_safe"] = lambda pos, _, head, member: f"!({pos})->{member}.next"
LOOPS["for_each_netdev_safe"] = lambda net, dev, _: f"list_is_last(&({dev})->dev_list, &({net})->dev_base_head)"
LOOPS["sk_for_each_bound"] = lambda sk, *_: f"!({sk})->sk_bind_node.next"


class Problem(Exception):
    """What one clear line explains."""


def missing_packages() -> list[str]:
    """What the parse needs and this machine does not have."""
    return ["python3-clang-14"] if cindex is None else []


@dataclasses.dataclass(frozen=True)
class Place:
    """One entry of mechanical.yaml."""

    file: str
    breaks: list[str]
    whole: list[str]
    skip: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Edit:
    """One mutant: text put before `begin` and after `end`, offsets in bytes, with NUMBER in the place of its number."""

    operator: str
    function: str
    begin: int
    end: int
    before: str
    after: str
    number: int = 0


def read_places(path: Path) -> list[Place]:
    """mechanical.yaml, in the plain form that its head describes."""
    try:
        return [Place(**entry) for entry in plain_yaml.read(path)]
    except ValueError as error:
        raise Problem(str(error)) from None
    except TypeError as error:
        raise Problem(f"{path}: {error}") from None


def closing(text: str, begin: int) -> int:
    """The offset of the parenthesis that closes the one at `begin`, past strings and comments; -1 without one."""
    depth = 0
    for match in re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])+\'|/\*.*?\*/|//[^\n]*|[()]', re.DOTALL).finditer(text, begin):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if depth == 0:
                return match.start()
    return -1


def balanced(text: str) -> bool:
    """Whether parentheses and brackets of an expression close what they open."""
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0


def parts(text: str, separator: str) -> list[str]:
    """`text` split where no parenthesis is open."""
    depth, begin, found = 0, 0, []
    for at, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == separator and not depth:
            found.append(text[begin:at].strip())
            begin = at + 1
    return [*found, text[begin:].strip()]


class Finder:
    """The mutants of one file."""

    def __init__(self, place: Place, unit: Any, path: Path) -> None:
        self.place = place
        self.unit = unit
        self.path = str(path)
        # libclang counts bytes; in Latin-1 a byte is a character.
        self.text = path.read_bytes().decode("latin-1")
        self.edits: dict[tuple[int, int, str], Edit] = {}
        self.written: set[int] = set()
        self.function = ""
        self.whole = False
        self.others: list[tuple[int, str, str]] = []
        self.origin: dict[str, str] = {}

    def find(self) -> list[Edit]:
        for cursor in self.unit.cursor.get_children():
            if cursor.kind != Kind.FUNCTION_DECL or not cursor.is_definition() or not self.here(cursor):
                continue
            self.function = cursor.spelling
            if self.function in self.place.skip:
                continue
            self.whole = self.function in self.place.whole
            if not self.whole and (SKIPPED.search(self.function) or self.is_init(cursor)):
                continue
            body = self.text[cursor.extent.start.offset : cursor.extent.end.offset]
            if not self.whole and not ABOUT.search(body) and not TELLS.search(body):
                continue
            self.others, self.origin = [], {}
            for child in cursor.get_children():
                if child.kind == Kind.PARM_DECL:
                    self.note_other(child)
            self.visit(cursor, [])
        return sorted(
            (edit for edit in self.edits.values() if not (edit.operator in ("init-net", "other-net") and edit.begin in self.written)),
            key=lambda edit: (edit.begin, -edit.end, edit.operator),
        )

    def here(self, cursor: Any) -> bool:
        return cursor.location.file is not None and cursor.location.file.name == self.path

    def is_init(self, cursor: Any) -> bool:
        """Whether a function runs only while the kernel boots."""
        head = self.text[max(0, cursor.extent.start.offset - 20) : cursor.extent.end.offset].partition("{")[0]
        return bool(re.search(r"\b__(net_)?(init|exit)\b", head))

    @staticmethod
    def offset(location: Any) -> int:
        """Where a location is written: in a macro's argument, or at the macro."""
        numbers = [ctypes.c_uint() for _ in range(3)]
        file = cindex.c_object_p()
        cindex.conf.lib.clang_getFileLocation(location, ctypes.byref(file), *[ctypes.byref(number) for number in numbers])
        return numbers[2].value

    def begin(self, cursor: Any) -> int:
        return self.offset(cursor.extent.start)

    def end(self, cursor: Any) -> int:
        return self.offset(cursor.extent.end)

    def starts(self, at: int, word: str) -> bool:
        return re.compile(rf"{re.escape(word)}\b").match(self.text, at) is not None

    def add(self, operator: str, begin: int, end: int, before: str, after: str) -> None:
        if not UNFIT.search(self.text[begin:end]):
            self.edits.setdefault((begin, end, operator), Edit(operator, self.function, begin, end, before, after))

    def note_other(self, declaration: Any) -> None:
        """A name by which another namespace can be had, from its declaration on."""
        kind = self.kind(declaration)
        name, since = declaration.spelling, declaration.extent.end.offset
        if kind == "net":
            self.others.append((since, name, name))
            _, equals, origin = self.text[declaration.location.offset : since].partition("=")
            if equals:
                self.origin[name] = origin.strip()
        elif kind in ("net_device", "sock"):
            call = "dev_net" if kind == "net_device" else "sock_net"
            self.others.append((since, f"{call}({name})", f"({name} ? {call}({name}) : NULL)"))

    @staticmethod
    def kind(cursor: Any) -> str:
        """"net" for a pointer to struct net, and so on; "" for what is no pointer to a struct."""
        match = re.fullmatch(r"(?:const )?struct (\w+) \*(?: ?const)?", cursor.type.get_canonical().spelling)
        return match[1] if match else ""

    def visit(self, cursor: Any, above: list[Any]) -> None:
        if cursor.kind == Kind.IF_STMT:
            self.condition(cursor)
        elif cursor.kind == Kind.FOR_STMT:
            self.loop(cursor)
        elif cursor.kind == Kind.CALL_EXPR:
            self.call(cursor)
        elif cursor.kind == Kind.BINARY_OPERATOR:
            self.comparison(cursor)
        if cursor.kind in (Kind.DECL_REF_EXPR, Kind.CALL_EXPR, Kind.MEMBER_REF_EXPR) and self.kind(cursor) == "net":
            self.namespace(cursor, above)
        if above and above[-1].kind == Kind.COMPOUND_STMT or (above and above[-1].kind == Kind.IF_STMT):
            self.statement(cursor)
        below = [*above, cursor]
        children = list(cursor.get_children())
        if cursor.kind == Kind.IF_STMT and UNFIT.search(self.condition_text(cursor)):
            children = children[2:]  # what a mutant made by hand does is none of the kernel's own
        for child in children:
            self.visit(child, below)
            # Known from here on, and only in the outermost block: it is not out of scope again.
            if cursor.kind == Kind.DECL_STMT and len(above) == 2 and child.kind == Kind.VAR_DECL and list(child.get_children()):
                if re.search(r"=", self.text[child.location.offset : child.extent.end.offset]):
                    self.note_other(child)

    def namespace(self, cursor: Any, above: list[Any]) -> None:
        """init-net and other-net."""
        begin = self.begin(cursor)
        if cursor.kind == Kind.CALL_EXPR:
            opening = re.compile(rf"{cursor.spelling}\s*\(").match(self.text, begin) if cursor.spelling else None
            end = closing(self.text, opening.end() - 1) + 1 if opening else 0
        elif cursor.kind == Kind.DECL_REF_EXPR:
            end = begin + len(cursor.spelling) if self.starts(begin, cursor.spelling) else 0
        else:
            end = self.end(cursor)
            if not re.fullmatch(rf"[\w>.\-]*\b{cursor.spelling}", self.text[begin:end]):
                end = 0
        if end <= begin:
            return
        text = self.text[begin:end]
        outer = [each for each in above if each.kind not in (Kind.UNEXPOSED_EXPR, Kind.PAREN_EXPR)]
        parent = outer[-1]
        if parent.kind == Kind.UNARY_OPERATOR and self.text[self.begin(parent)] != "!":
            self.written.add(begin)
        if parent.kind == Kind.BINARY_OPERATOR:
            first = next(parent.get_children(), None)
            if first is not None and self.begin(first) == begin and not re.match(r"\s*(==|!=|&&|\|\|)", self.text[end:]):
                self.written.add(begin)
        if parent.kind == Kind.CALL_EXPR and REFERENCE.search(parent.spelling or ""):
            return
        if COUNTS.search(self.text[max(0, begin - 120) : begin]):
            return
        if text == "init_net" or REFERENCE.search(text.partition("(")[0]) or self.text[:begin].rstrip().endswith("&"):
            return
        self.add("init-net", begin, end, "netns_mech_init(NUMBER, ", ")")
        # A name and what it was made from are the same namespace.
        same = {text, self.origin.get(text, text)}
        others = [other for since, plain, other in self.others if since < begin and not {plain, self.origin.get(plain, plain)} & same]
        if others:
            # A namespace given by name is the likelier mix-up.
            other = next((each for each in others if each.isidentifier()), others[0])
            self.add("other-net", begin, end, "netns_mech_other(NUMBER, ", f", {other})")

    def call(self, cursor: Any) -> None:
        """no-capability, and net_eq() of no-comparison."""
        name = cursor.spelling or ""
        operator = "no-comparison" if name == "net_eq" else "no-capability" if CAPABILITY.match(name) else ""
        if not operator:
            return
        begin = self.begin(cursor)
        opening = re.compile(rf"{name}\s*\(").match(self.text, begin)
        if opening:
            self.add(operator, begin, closing(self.text, opening.end() - 1) + 1, "netns_mech_or(NUMBER, ", ")")

    def comparison(self, cursor: Any) -> None:
        """no-comparison of pointers."""
        children = list(cursor.get_children())
        if len(children) != 2 or not all(self.kind(child) in ("net", "user_namespace", "ns_common") for child in children):
            return
        begin, end = self.begin(children[0]), self.end(children[1])
        operator = self.text[self.end(children[0]) : self.begin(children[1])].strip()
        if operator in ("==", "!=") and balanced(self.text[begin:end]) and "NULL" not in self.text[begin:end]:
            wrap = "netns_mech_or" if operator == "==" else "netns_mech_unless"
            self.add("no-comparison", begin, end, f"{wrap}(NUMBER, ", ")")

    def condition_text(self, cursor: Any) -> str:
        opening = re.compile(r"if\s*\(").match(self.text, self.begin(cursor))
        return self.text[opening.end() : closing(self.text, opening.end() - 1)] if opening else ""

    def condition(self, cursor: Any) -> None:
        """negated and no-check."""
        begin = self.begin(cursor)
        opening = re.compile(r"if\s*\(").match(self.text, begin)
        if not opening:
            return
        first, last = opening.end(), closing(self.text, opening.end() - 1)
        text = self.text[first:last]
        if not (self.whole or ABOUT.search(text)) or self.guards_a_pointer(cursor, text):
            return
        children = list(cursor.get_children())
        if len(children) == 2 and self.ends_with_a_jump(children[1]):
            self.add("no-check", first, last, "netns_mech_unless(NUMBER, !!(", "))")
        self.add("negated", first, last, "netns_mech_not(NUMBER, !!(", "))")

    def guards_a_pointer(self, cursor: Any, text: str) -> bool:
        """Whether a condition is about an error or a NULL: the other way round it is a crash."""
        if PLAIN_ERROR.match(text):
            return True
        bare = re.sub(r"^\s*!?\s*(un)?likely\((.*)\)$", r"\2", text, flags=re.DOTALL).strip().lstrip("!").strip()
        if re.fullmatch(r"[\w>.\-\[\]]+", bare):
            expression = next(cursor.get_children())
            while expression.kind in (Kind.UNEXPOSED_EXPR, Kind.UNARY_OPERATOR, Kind.PAREN_EXPR):
                if expression.type.get_canonical().kind == cindex.TypeKind.POINTER:
                    return True
                expression = next(expression.get_children(), cursor)
            return expression.type.get_canonical().kind == cindex.TypeKind.POINTER
        return False

    def ends_with_a_jump(self, statement: Any) -> bool:
        if statement.kind == Kind.COMPOUND_STMT:
            children = list(statement.get_children())
            return bool(children) and self.ends_with_a_jump(children[-1])
        return statement.kind in (Kind.RETURN_STMT, Kind.GOTO_STMT, Kind.CONTINUE_STMT, Kind.BREAK_STMT)

    def statement(self, cursor: Any) -> None:
        """dropped."""
        while cursor.kind == Kind.UNEXPOSED_EXPR:
            cursor = next(cursor.get_children(), cursor)
            if cursor.kind == Kind.UNEXPOSED_EXPR and not list(cursor.get_children()):
                return
        begin = self.begin(cursor)
        if cursor.kind == Kind.CALL_EXPR:
            name = cursor.spelling or ""
            opening = re.compile(rf"{name}\s*\(").match(self.text, begin) if name else None
            if not opening or HARMFUL.search(name) and not name.startswith(("put_net", "dec_net")):
                return
            if not (self.whole or TELLS.search(name) or ABOUT.search(name)):
                return
            end = closing(self.text, opening.end() - 1) + 1
        elif cursor.kind == Kind.BINARY_OPERATOR:
            target, value = [*cursor.get_children()][:2]
            if target.kind != Kind.MEMBER_REF_EXPR or not re.match(r"\s*=[^=]", self.text[self.end(target) :]):
                return
            end = self.end(value)
            text = self.text[begin:end]
            if not balanced(text) or not (self.whole or ABOUT.search(text)) or HARMFUL.search(text):
                return
        else:
            return
        semicolon = re.compile(r"\s*;").match(self.text, end)
        if not semicolon or not re.search(r"[;{}):]\s*$|\belse\s*$|\*/\s*$", self.text[max(0, begin - 400) : begin]):
            return
        self.add("dropped", begin, semicolon.end(), "{ if (!netns_mech(NUMBER)) ", " }")

    def loop(self, cursor: Any) -> None:
        """short-loop."""
        begin = self.begin(cursor)
        opening = re.compile(r"(\w+)\s*\(").match(self.text, begin)
        if not opening:
            return
        last = closing(self.text, opening.end() - 1)
        inside = self.text[opening.end() : last]
        if opening[1] == "for":
            pieces = inside.split(";")
            match = re.fullmatch(r"\s*(\w+)\s*<(?!=)\s*([^;&|]+?)\s*", pieces[1]) if len(pieces) == 3 else None
            if self.whole and match and re.fullmatch(rf"\s*({match[1]}\+\+|\+\+{match[1]})\s*", pieces[2]):
                first = opening.end() + len(pieces[0]) + 1
                self.add("short-loop", first, first + len(pieces[1]), " netns_mech_last(NUMBER,", f", {match[1]} + 1 >= {match[2]})")
            return
        about = self.whole or "for_each_net" in opening[1] or re.search(r"dump|notify|exit|flush|fill|event|purge|destroy", self.function)
        if opening[1] not in LOOPS or not about:
            return
        try:
            is_last = LOOPS[opening[1]](*parts(inside, ","))
        except TypeError:
            return
        body = re.compile(r"\s*(\{)?").match(self.text, last + 1)
        at = body.end()
        if body[1]:
            self.add("short-loop", at, at, f" if (({is_last}) && netns_mech(NUMBER)) continue;", "")
        else:
            self.add("short-loop", at, at, f"if (!(({is_last}) && netns_mech(NUMBER))) ", "")


def nested(edits: Iterable[Edit]) -> list[Edit]:
    """Without those that cross another: each pair is apart or one within the other."""
    kept: list[Edit] = []
    for edit in edits:
        if not any(other.begin < edit.begin < other.end < edit.end for other in kept):
            kept.append(edit)
    return kept


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits in it. What is longer is outside; of two that wrap the same, the first."""
    inserts: list[tuple[tuple[int, int, int, int], str]] = []
    for order, edit in enumerate(edits):
        length = edit.end - edit.begin
        number = str(edit.number)
        # At one place: what ends there before what begins there; ends from the inside out, beginnings from the outside in.
        inserts.append(((edit.begin, 1, -length, order), edit.before.replace("NUMBER", number)))
        inserts.append(((edit.end, 0, length, -order), edit.after.replace("NUMBER", number)))
    pieces: list[str] = []
    at = 0
    for (place, *_), insert in sorted(inserts):
        pieces += [text[at:place], insert]
        at = place
    return "".join([*pieces, text[at:]])


def with_header(text: str) -> str:
    """The text with our header after its first #include, on the same line: line numbers stay."""
    match = re.search(r"^#include [<\"][^>\"]+[>\"].*$", text, re.MULTILINE)
    if not match:
        raise Problem("no #include to put ours after")
    return f"{text[: match.end()]}\n#include <{HEADER}>\n#line {text.count(chr(10), 0, match.end()) + 2}{text[match.end():]}"


def prepare() -> None:
    """The one function of libclang that its binding does not declare."""
    cindex.conf.lib.clang_getFileLocation.argtypes = [cindex.SourceLocation] + [ctypes.c_void_p] * 4
    cindex.conf.lib.clang_getFileLocation.restype = None


def arguments(tree: Path, file: str) -> list[str]:
    """What Kbuild gives a compiler, as far as the parse depends on it."""
    includes = ["arch/x86/include", "arch/x86/include/generated", "include", "arch/x86/include/uapi", "arch/x86/include/generated/uapi", "include/uapi", "include/generated/uapi"]
    words = ["-nostdinc", "-std=gnu11", "-w", "-fshort-wchar", "-fms-extensions", "-D__KERNEL__", '-DKBUILD_MODNAME="m"', '-DKBUILD_BASENAME="m"', "-D__KBUILD_MODNAME=m", '-DKBUILD_MODFILE="m"']
    words += [f"-I{tree / include}" for include in includes]
    for header in ("compiler-version.h", "kconfig.h", "compiler_types.h"):
        words += ["-include", str(tree / "include" / "linux" / header)]
    return [*words, f"-I{(tree / file).parent}"]


def describe(edit: Edit, text: str) -> str:
    """The place as it reads, on one line."""
    end = edit.end if edit.end > edit.begin else text.find("\n", edit.begin)
    begin = edit.begin if edit.operator != "short-loop" or edit.end > edit.begin else text.rfind("\n", 0, max(0, text.rfind("(", 0, edit.begin)))
    shown = re.sub(r"\s+", " ", text[begin:end]).strip()
    other = re.search(r", (.*)\)$", edit.after)
    if edit.operator == "other-net" and other:
        shown += " -> " + re.sub(r"^\((\w+) \? (.*) : NULL\)$", r"\2", other[1])
    return shown


def generate(tree: Path, places: list[Place], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """The table of all mutants, with what emit() needs of them. Reads the tree, and changes nothing in it."""
    if cindex is None:
        raise Problem("missing: python3-clang-14; apt-get install python3-clang-14")
    prepare()
    index = cindex.Index.create()
    table: list[dict[str, Any]] = []
    for place in places:
        path = tree / place.file
        if not path.exists():
            raise Problem(f"mechanical.yaml: {place.file} is not in the source")
        unit = index.parse(str(path), args=arguments(tree, place.file))
        fatal = [each.spelling for each in unit.diagnostics if each.severity >= cindex.Diagnostic.Error]
        if fatal:
            say(f"{place.file}: {len(fatal)} errors of the parse, the first: {fatal[0]}")
        finder = Finder(place, unit, path)
        edits = nested(finder.find())
        functions = {edit.function for edit in edits}
        absent = [name for name in place.whole if not re.search(rf"\b{name}\(", finder.text)]
        if absent:
            say(f"{place.file}: no such function: {' '.join(absent)}")
        newlines = [match.start() for match in re.finditer("\n", finder.text)]
        for edit in edits:
            line = bisect.bisect_left(newlines, edit.begin) + 1
            last = bisect.bisect_left(newlines, edit.end) + 1
            table.append(
                {
                    "number": FIRST + len(table),
                    "operator": edit.operator,
                    "file": place.file,
                    "function": edit.function,
                    "line": line,
                    "last_line": last,
                    "text": describe(edit, finder.text),
                    "breaks": place.breaks,
                    "edit": [edit.begin, edit.end, edit.before, edit.after],
                }
            )
        say(f"{place.file}: {len(edits)} mutants in {len(functions)} functions")
    return table


def emit(tree: Path, table: list[dict[str, Any]], dropped: set[int]) -> set[str]:
    """Write the mutants into the tree, except for the dropped ones; the files that have changed by that.

    The file as it was is kept beside it, so that this can be done again with more of them dropped.
    """
    changed: set[str] = set()
    for file in sorted({mutant["file"] for mutant in table}):
        path = tree / file
        original = path.with_name(path.name + ".unmutated")
        if not original.exists():
            shutil.copy2(path, original)
        text = original.read_bytes().decode("latin-1")
        edits = [
            Edit(mutant["operator"], mutant["function"], *mutant["edit"], number=mutant["number"])
            for mutant in table
            if mutant["file"] == file and mutant["number"] not in dropped
        ]
        new = with_header(apply(text, edits)) if edits else text
        if path.read_bytes().decode("latin-1") != new:
            path.write_bytes(new.encode("latin-1"))
            changed.add(file)
    for name, directory in (("netns_mechanical.h", "include/net"), ("netns_mechanical.c", "net/core")):
        target = tree / directory / name
        if not target.exists() or target.read_bytes() != (HERE / "mechanical" / name).read_bytes():
            shutil.copyfile(HERE / "mechanical" / name, target)
    makefile = tree / "net/core/Makefile"
    line = "obj-y += netns_mechanical.o\n"
    if line not in makefile.read_text():
        makefile.write_text(makefile.read_text() + line)
    return changed


def in_image(tree: Path, table: list[dict[str, Any]], dropped: set[int]) -> list[dict[str, Any]]:
    """The mutants that were compiled, without what only emit() needs: kernel.config leaves some files out."""
    kept = [mutant for mutant in table if mutant["number"] not in dropped and (tree / mutant["file"]).with_suffix(".o").exists()]
    return [{key: value for key, value in mutant.items() if key not in ("edit", "last_line")} for mutant in kept]


def blamed(table: list[dict[str, Any]], output: str) -> set[int]:
    """The mutants at which the compiler's errors point; a file of which none is to blame gives up all of its own."""
    numbers: set[int] = set()
    for file, line in set(re.findall(r"^(?:\./)?(\S+?):(\d+):(?:\d+:)? (?:fatal )?error:", output, re.MULTILINE)):
        mine = [mutant for mutant in table if mutant["file"] == file]
        at = {mutant["number"] for mutant in mine if mutant["line"] <= int(line) <= mutant["last_line"]}
        numbers |= at or {mutant["number"] for mutant in mine}
    return numbers


def sample(mutants: list[Any], count: int, seed: int, operator: Callable[[Any], str]) -> list[Any]:
    """`count` of them, the same share of each operator as near as can be, the same ones for the same seed."""
    chance = random.Random(seed)
    groups: dict[str, list[Any]] = {}
    for mutant in mutants:
        groups.setdefault(operator(mutant), []).append(mutant)
    shuffled = [chance.sample(groups[name], len(groups[name])) for name in sorted(groups)]
    chosen: list[Any] = []
    while len(chosen) < min(count, len(mutants)):
        for group in shuffled:
            if group and len(chosen) < count:
                chosen.append(group.pop())
    return chosen
