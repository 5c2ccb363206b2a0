"""Expressions that try to get out, or to take all the time or memory there is."""

import resource
import time

import pytest

from engine.errors import ExpressionError
from engine.flow.expressions import Scope, StepView, compile_expression


class Steps:
    def find_step(self, node_id):
        return StepView({"score": 7}, "completed", None, 1) if node_id == "a" else None

    def step_ids(self):
        return ["a"]


def nest(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


STATE = {
    "text": "a" * 900_000,
    "other_text": "a" * 899_999 + "b",
    "numbers": list(range(90_000)),
    "rows": [{"score": number} for number in range(1_000)],
    "deep": nest(190),
    "endless": nest(20_000),
    "wide": [["x" * 100] * 1_000] * 100,
    "n": 5,
    "d": {"a": 1},
}


def scope():
    return Scope(
        state=dict(STATE),
        result={"score": 1},
        steps=Steps(),
        run={"id": "r", "graph": "g", "steps": 1},
    )


ESCAPES = [
    "().__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "state.__class__",
    "state.__init__.__globals__",
    "state.__getitem__('n')",
    "state.__dict__",
    "state.d.__class__.__mro__",
    "''.__class__.__mro__[1].__subclasses__()",
    "steps.__class__",
    "steps.find_step('a')",
    "steps.a._replace(result=1)",
    "steps.a._asdict()",
    "steps.a.__class__",
    "steps.step_ids()",
    "run.__class__",
    "(x for x in [1]).gi_frame",
    "[x for x in [1]].__class__",
    "[x.gi_frame.f_back for x in [(y for y in [1])]]",
    "ｓｔａｔｅ.__class__",
    "state.__ｃｌａｓｓ__",
    "state.ˍ_class__",
    "state._＿class_＿",
    "__import__('os').system('true')",
    "__builtins__",
    "__name__",
    "globals()",
    "locals()",
    "vars()",
    "dir()",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'eval')",
    "open('/etc/passwd').read()",
    "getattr(state, 'n')",
    "setattr(state, 'n', 1)",
    "hasattr(state, 'n')",
    "type(state)",
    "type('x', (), {})",
    "object()",
    "super()",
    "print(1)",
    "input()",
    "breakpoint()",
    "help()",
    "id(state)",
    "hash(state)",
    "memoryview(b'x')",
    "bytes(10)",
    "bytearray(10)",
    "map(str, [1])",
    "filter(str, [1])",
    "iter([1])",
    "next([1])",
    "str.format('{0.__class__}', 1)",
    "'{0.__class__}'.format(1)",
    "'{0.__class__.__init__.__globals__}'.format(state)",
    "'{a.__class__}'.format_map(state)",
    "f'{state.__class__}'",
    "f'{state!r}'",
    "f'{state.n.__class__}'",
    "'a'.encode()",
    "'a'.translate({97: 'b'})",
    "'a'.maketrans('a', 'b')",
    "'%s' % state",
    "'%(n)s' % state",
    "lambda: 1",
    "(lambda x: x)(1)",
    "[lambda: 1]",
    "(x := 1)",
    "[y := 1, y]",
    "any((last := x) for x in [1])",
    "[*state.numbers]",
    "{**state.d}",
    "max(*state.numbers)",
    "max(**state.d)",
    "sorted([2, 1], key=len)",
    "sorted([2, 1], **{'key': 1})",
    "{1, 2}",
    "{x for x in [1]}",
    "{x: 1 for x in ['a']}",
    "await state",
    "[x async for x in state.numbers]",
    "(yield 1)",
    "(yield from [1])",
    "import os",
    "from os import system",
    "state.n = 1",
    "del state.n",
    "1; 2",
    "1\n2",
    "pass",
    "1) or (2",
    "b'bytes'",
    "1j",
    "...",
    "state.numbers.append(1)",
    "state.numbers.sort()",
    "state.numbers.clear()",
    "state.d.update({})",
    "state.d.pop('a')",
    "state.d.setdefault('b', 1)",
    "state.d.clear()",
    "state.d.fromkeys(['x'])",
    "[0 for state.n in [1]]",
    "[0 for state['n'] in [1]]",
    "[0 for state in [1]]",
    "[0 for len in [1]]",
    "[0 for __x in [1]]",
    "[0 for *x in [[1]]]",
    "len(1)(2)",
    "[len][0]('a')",
    "(len if state.n else abs)('a')",
    "len",
    "state.n @ state.n",
    "state.n is 5",
    "state['d'].get.__self__",
    "state.get.__self__",
    "state.get.__func__",
    "item.__class__",
    "\0",
    "state.n\0",
    "'\ud800'",
    r"'\ud800'",
    "state.\ud800",
]

BOMBS = [
    "9**9**9",
    "9**9**9**9",
    "2**1000000",
    "2**-9**9**9",
    "(2**1000)**1000",
    "(-2)**99999",
    "state.n**state.n**state.n**state.n",
    "1 << 10**9",
    "~1 << 5",
    "10**1000 * 10**1000 * 10**1000",
    "sum([10**300, 10**300]) * 10**300",
    "1e308 * 10",
    "1e999",
    "-1e999",
    "1e308 + 1e308",
    "float('inf')",
    "float('nan')",
    "float('1e999')",
    "int('9' * 900000)",
    "int(1e308) * int(1e308) * int(1e308) * int(1e308)",
    "9" * 1_500,
    "'a' * 10**9",
    "10**9 * 'a'",
    "'a' * 10**9 * 10**9",
    "[0] * 10**9",
    "(0,) * 10**9",
    "10**9 * [0]",
    "[[0] * 1000] * 1000 * 1000",
    "[[[[0] * 1000] * 1000] * 1000] * 1000",
    "[[state.wide] * 1000] * 1000",
    "{'a': [[state.text] * 100] * 1000}",
    "'%10000000000d' % 1",
    "'%*d' % (10**9, 1)",
    "f'{1:1000000000d}'",
    "f'{1:>1000000000}'",
    "f'{1:.1000000000f}'",
    "f'{1:{10**9}}'",
    "f'{1:{state.n}}'",
    "f'{state.text}' * 10",
    "f'{state.text}{state.text}'",
    "'a'.zfill(10**9)",
    "'a'.ljust(10**9)",
    "'a'.rjust(10**9, 'b')",
    "'a'.center(10**9)",
    "'a'.ljust(10**100)",
    "'a\\t'.expandtabs(10**9)",
    "state.text.replace('a', 'aaaaaaaaaa')",
    "state.text.replace('', state.text)",
    "'a'.replace('a', state.text).replace('a', state.text)",
    "state.text.join([state.text, state.text])",
    "','.join([state.text] * 1000)",
    "state.text + state.text",
    "state.text * 2",
    "[state.text.upper() for x in range(10000)]",
    "[state.text + 'b' for x in range(10000)]",
    "[state.text[1:] for x in range(10000)]",
    "[state.numbers[1:] for x in range(10000)]",
    "[f'{state.text}' for x in range(10000)]",
    "[str(x) * 1000 for x in range(100000)]",
    "str(state.wide) + str(state.wide) + str([state.wide] * 100)",
    "state.text.split('a')",
    "list(state.text)[0:1] * 10**9",
    "range(10**9)",
    "range(10**100)",
    "range(-10**9, 10**9)",
    "range(0, -10**9, -1)",
    "len(range(10**9))",
    "sum(x for x in range(10**9))",
    "any(x < 0 for x in range(10**7))",
    "any(x < 0 and y < 0 for x in state.numbers for y in state.numbers)",
    "all(x >= 0 for x in state.numbers for y in range(1000))",
    "[x for x in range(1000) for y in range(1000) for z in range(1000)]",
    "[[y for y in state.numbers] for x in state.numbers]",
    "sum(sum(y for y in range(1000)) for x in range(100000))",
    "any(state.numbers == [y] + state.numbers for x in range(100000))",
    "any(state.text == state.other_text for x in range(100000))",
    "any(state.text < state.other_text and False for x in range(100000))",
    "any(state.wide != state.wide for x in range(100000))",
    "any('b' in state.text for x in range(100000))",
    "any(-1 in state.numbers for x in range(100000))",
    "any(state.wide in [state.wide] and False for x in range(100000))",
    "any(state.numbers.count(-1) for x in range(100000))",
    "any(state.text.count('b') for x in range(100000))",
    "any(state.text.find('b') > 0 for x in range(100000))",
    "any(sum(state.numbers) < 0 for x in range(100000))",
    "any(max(state.numbers) < 0 for x in range(100000))",
    "any(any(state.d) is None for x in range(10**6))",
    "[sorted(state.numbers) for x in range(1000)]",
    "[list(state.numbers) for x in range(1000)]",
    "[reversed(state.numbers) for x in range(1000)]",
    "[enumerate(state.numbers) for x in range(1000)]",
    "[zip(state.numbers, state.numbers) for x in range(1000)]",
    "[state.values() for x in range(100000)]",
    "round(5, -10**9)",
    "round(5, -10**5)",
    "round(10**300, 10**9)",
    "enumerate([1], 10**9**9)",
    "-" * 1_500 + "1",
    "not " * 400 + "1",
    "(" * 900 + ")" * 900,
    "[" * 900 + "]" * 900,
    "{'a':" * 300 + "1" + "}" * 300,
    "state" + ".a" * 900,
    "state" + "['a']" * 300,
    "1" + "+1" * 900,
    "1" + "**1" * 600,
    "1 if 1 else " * 150 + "1",
    "f" + "(" * 500,
    "[x for x in " * 100 + "[1]" + "]" * 100,
    "1 or " * 400 + "(" * 150,
    "a" * 2_001,
    " " * 3_000 + "1",
    "state.n" + " " * 5_000,
]


@pytest.mark.parametrize("text", ESCAPES)
def test_nothing_but_what_is_listed_can_be_reached(text):
    before = scope()
    with pytest.raises(ExpressionError):
        compile_expression(text).evaluate(before)
    assert before.state["d"] == {"a": 1}
    assert len(before.state["numbers"]) == 90_000
    assert before.state["n"] == 5


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: text[:40])
def test_time_and_memory_are_bounded(text):
    used = scope()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text).evaluate(used)
    assert time.process_time() - start < 2  # 0.12 s at most on a quiet machine
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 150_000  # KiB
    assert len(caught.value.message) < 2_000


@pytest.mark.parametrize(
    "text",
    [
        "state.endless == state.endless[0]",
        "str(state.endless)",
        "state.endless < state.endless[0]",
        "f'{state.endless}'",
    ],
)
def test_values_nested_beyond_all_measure_are_no_crash(text):
    with pytest.raises(ExpressionError):
        compile_expression(text).evaluate(scope())


def test_keys_that_look_like_pythons_own_are_only_keys():
    used = Scope(state={"__class__": "mine", "_private": 1})
    assert compile_expression("state['__class__']").evaluate(used) == "mine"
    assert compile_expression("state._private").evaluate(used) == 1


def test_an_evaluation_after_one_that_ran_out_of_work_has_its_full_share():
    used = scope()
    with pytest.raises(ExpressionError):
        compile_expression("any(x < 0 for x in range(10**6))").evaluate(used)
    with pytest.raises(ExpressionError):
        compile_expression("any(x < 0 and y < 0 for x in state.numbers for y in state.numbers)").evaluate(
            used
        )
    assert compile_expression("all(x >= 0 for x in state.numbers)").evaluate(used) is True


def test_what_an_expression_gives_does_not_change_what_it_was_given():
    used = Scope(state={"items": [3, 1, 2], "d": {"a": [1]}})
    for text in (
        "sorted(state.items)",
        "reversed(state.items)",
        "state.items + [4]",
        "state.items * 2",
        "state.items[:]",
    ):
        compile_expression(text).evaluate(used).append("mine")
    compile_expression("state.d.items()").evaluate(used).clear()
    compile_expression("{'a': state.d}").evaluate(used).clear()
    assert used.state == {"items": [3, 1, 2], "d": {"a": [1]}}


def test_two_evaluations_of_one_expression_share_no_list():
    expression = compile_expression("[1, [2]]")
    first = expression.evaluate(Scope())
    first.append(3)
    first[1].append(3)
    assert expression.evaluate(Scope()) == [1, [2]]
