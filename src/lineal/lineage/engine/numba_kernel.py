"""The loops of the walk, compiled: chosen where numba is installed (the extra ``fast``).

Breadth first over a queue, with one bit for each node that was seen; the rows of what comes next
are fetched from memory while this one is looked at. The loops are C functions of one argument, the
address of a *job*: an array of numbers, of which some are addresses of further arrays. To be told
one number takes C a tenth of a microsecond, where to be told fourteen arrays would take ten. So
nothing is checked here: `compiled`, which alone calls them, has checked it before.

Compiled when first wanted and kept on disk by numba; nothing here is imported before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lineal.lineage.engine import jobs
from lineal.lineage.engine.scratch import AHEAD

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

    def cfunc(signature: Any, **options: Any) -> Callable[[Function], Any]:
        """Compile a function for C."""

    def njit(**options: Any) -> Callable[[Function], Function]:
        """Compile a function."""

    def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
        """Make an instruction of the machine a function."""

    ir: Any
    types: Any
else:
    from llvmlite import ir
    from numba import cfunc, njit, types
    from numba.extending import intrinsic

_JOB = types.CPointer(types.int64)


def _pointer(kind: Any) -> Callable[..., Any]:
    """Return the function that takes an address for one of an array of a kind of number."""

    @intrinsic
    def at(_: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = context.get_value_type(signature.return_type)
            return builder.inttoptr(arguments[0], kind)

        return types.CPointer(kind)(address), generate

    return at


_ints, _words = _pointer(types.int32), _pointer(types.uint64)
_bytes, _shorts = _pointer(types.uint8), _pointer(types.uint16)


@intrinsic
def _fetch(_: Any, array: Any, place: Any) -> Any:
    """Have what lies at a place of an array brought near: a hint, harmless at any address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        there = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), pointer)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        # To be read, soon, as data.
        builder.call(prefetch, [there, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, place), generate


@njit()
def _rows(job: Any) -> Any:
    """Return where rows begin and end, and their targets."""
    return _ints(job[jobs.FIRST]), _ints(job[jobs.END]), _ints(job[jobs.TARGETS])


@njit()
def _less(job: Any, short: int, node: int) -> int:
    """Return how much less of a node's row is walked; *short*: how many bytes such a number has."""
    if short == 0:
        return 0
    if short == 1:
        return int(_bytes(job[jobs.LESS])[node])
    if short == 2:
        return int(_shorts(job[jobs.LESS])[node])
    return int(_ints(job[jobs.LESS])[node])


@njit()
def _codes(job: Any) -> Any:
    """Return the codes, as they lie in one byte and in two, and which of them are allowed."""
    return _bytes(job[jobs.CODES]), _shorts(job[jobs.CODES]), _bytes(job[jobs.ALLOWED])


@njit()
def _way(job: Any) -> Any:
    """Return the queue, and from which place in it and over which edge each was reached."""
    return _ints(job[jobs.QUEUE]), _ints(job[jobs.PARENT]), _ints(job[jobs.EDGE])


@njit()
def _code(job: Any, place: int) -> int:
    """Return the code of an edge."""
    codes, wide, _ = _codes(job)
    return int(wide[place]) if job[jobs.WIDE] != 0 else int(codes[place])


@njit()
def _dear(mine: Any, theirs: Any) -> bool:
    """Return whether the next level of one side has more edges than that of the other."""
    first, last, _ = _rows(mine)
    begin, end, _ = _rows(theirs)
    queue, other = _ints(mine[jobs.QUEUE]), _ints(theirs[jobs.QUEUE])
    at, high, edges = mine[jobs.LOW], mine[jobs.HIGH], 0
    back, above, more = theirs[jobs.LOW], theirs[jobs.HIGH], 0
    # Both are counted in turn, so that only as much of the dear one is looked at as the other has.
    while True:
        if edges <= more:
            if at == high:
                return False
            edges += last[queue[at]] - first[queue[at]] - _less(mine, mine[jobs.SHORT], queue[at])
            at += 1
        else:
            if back == above:
                return True
            more += end[other[back]] - begin[other[back]]
            more -= _less(theirs, theirs[jobs.SHORT], other[back])
            back += 1


@njit()
def _level(mine: Any, theirs: Any) -> int:
    """
    Go on by one level of one side; return 1 where it met the other, -2 where the limit was hit.

    Of a meeting the job is told the place in the queue, the edge, and the node.
    """
    first, last, targets = _rows(mine)
    codes, wide, allowed = _codes(mine)
    queue, parent, edge = _way(mine)
    bits, other = _words(mine[jobs.BITS]), _words(theirs[jobs.BITS])
    masked, is_wide = mine[jobs.MASKED] != 0, mine[jobs.WIDE] != 0
    low, high, scanned = mine[jobs.LOW], mine[jobs.HIGH], mine[jobs.SCANNED]
    count, limit = high, mine[jobs.EDGES] - theirs[jobs.SCANNED]
    for at in range(low, high):
        begin = first[queue[at]]
        end = last[queue[at]] - _less(mine, mine[jobs.SHORT], queue[at])
        scanned += end - begin
        if scanned > limit:
            mine[jobs.HIGH] = count
            return -2
        for place in range(begin, end):
            if masked and not allowed[wide[place] if is_wide else codes[place]]:
                continue
            target = targets[place]
            bit = types.uint64(1) << types.uint64(target & 63)
            if bits[target >> 6] & bit:
                continue
            if other[target >> 6] & bit:
                mine[jobs.HIGH] = count
                mine[jobs.MET_AT], mine[jobs.MET_OVER], mine[jobs.MET] = at, place, target
                return 1
            bits[target >> 6] |= bit
            queue[count], parent[count], edge[count] = target, at, place
            count += 1
    mine[jobs.LOW], mine[jobs.HIGH], mine[jobs.SCANNED] = high, count, scanned
    return 0


@njit()
def _joined(there: Any, back: Any, forward: bool) -> int:
    """
    Write the way over the edge where two sides met; return how many steps it has.

    Its nodes go where the depths of the one side would, the codes of its steps where the other's.
    """
    nodes, codes = _ints(there[jobs.DEPTHS]), _ints(back[jobs.DEPTHS])
    mine, theirs = (there, back) if forward else (back, there)
    # The other side reached it in its last level: had it been earlier, they had met earlier.
    other, far = _ints(theirs[jobs.QUEUE]), theirs[jobs.LOW]
    while other[far] != mine[jobs.MET]:
        far += 1
    ahead, behind = (mine[jobs.MET_AT], far) if forward else (far, mine[jobs.MET_AT])
    queue, parent, edge = _way(there)
    middle, here = 0, ahead
    while here != 0:
        here = parent[here]
        middle += 1
    here, step = ahead, middle
    while here != 0:
        nodes[step], codes[step - 1] = queue[here], _code(there, edge[here])
        here = parent[here]
        step -= 1
    nodes[0] = queue[0]
    codes[middle] = _code(mine, mine[jobs.MET_OVER])
    queue, parent, edge = _way(back)
    here, step = behind, middle + 1
    while here != 0:
        nodes[step], codes[step] = queue[here], _code(back, edge[here])
        here = parent[here]
        step += 1
    nodes[step] = queue[0]
    return step


def loops(layout: int) -> tuple[Any, Any]:
    """
    Compile the two loops, for jobs of a *layout*: one walk, and one from two sides.

    On disk they are kept by the layout too, so that those of another release are not taken.
    """

    @cfunc(types.int64(_JOB), cache=True)
    def walk(job: Any) -> int:
        """
        Walk level after level; return 0 if nothing is left, 1 to 3 for a limit hit, 4 to pause.

        What was seen is forgotten at the end, but not at a pause.
        """
        if job[jobs.LAYOUT] != layout:
            return -3
        first, last, targets = _rows(job)
        codes, wide, allowed = _codes(job)
        queue, parent, edge = _way(job)
        depths, bits, short = _ints(job[jobs.DEPTHS]), _words(job[jobs.BITS]), job[jobs.SHORT]
        masked, is_wide, traced = job[jobs.MASKED] != 0, job[jobs.WIDE] != 0, job[jobs.TRACED] != 0
        low, high = job[jobs.LOW], job[jobs.HIGH]
        depth, scanned = job[jobs.DEPTH], job[jobs.SCANNED]
        if depth == 0:
            for at in range(high):
                bits[queue[at] >> 6] |= types.uint64(1) << types.uint64(queue[at] & 63)
                depths[at] = 0
        outcome = 0
        while low < high:
            if depth >= job[jobs.DEEP]:
                outcome = 1
            elif high >= job[jobs.NODES]:
                outcome = 2
            elif scanned >= job[jobs.EDGES]:
                outcome = 3
            elif scanned >= job[jobs.PAUSED_AT]:
                outcome = 4
            if outcome != 0:
                break
            depth += 1
            count = high
            for at in range(low, high):
                # Beyond the end of the queue lie nodes of earlier walks, or zeros: sound as well.
                far, near = queue[at + AHEAD], first[queue[at + AHEAD // 2]]
                _fetch(first, far)
                _fetch(last, far)
                _fetch(targets, near)
                if masked:
                    if is_wide:
                        _fetch(wide, near)
                    else:
                        _fetch(codes, near)
                begin = first[queue[at]]
                end = last[queue[at]] - _less(job, short, queue[at])
                scanned += end - begin
                for place in range(begin, end):
                    target = targets[place]
                    shift = types.uint64(target & 63)
                    word = bits[target >> 6]
                    new = ~(word >> shift) & types.uint64(1)
                    if masked:
                        new &= types.uint64(allowed[wide[place] if is_wide else codes[place]])
                    # Written in any case, and kept if new: a processor guesses badly what is new.
                    bits[target >> 6] = word | (new << shift)
                    queue[count], depths[count] = target, depth
                    if traced:
                        parent[count], edge[count] = at, place
                    count += types.int64(new)
            low, high = high, count
        job[jobs.LOW], job[jobs.HIGH] = low, high
        job[jobs.DEPTH], job[jobs.SCANNED] = depth, scanned
        if outcome != 4:
            for at in range(high):
                bits[queue[at] >> 6] = 0
        return outcome

    @cfunc(types.int64(_JOB, _JOB), cache=True)
    def meet(there: Any, back: Any) -> int:
        """
        Walk from two sides, the one with fewer edges first, until they meet; return how many steps.

        -1 is returned where there is no way, -2 where too many edges were looked at.
        """
        if there[jobs.LAYOUT] != layout or back[jobs.LAYOUT] != layout:
            return -3
        for job in (there, back):
            start = _ints(job[jobs.QUEUE])[0]
            _words(job[jobs.BITS])[start >> 6] |= types.uint64(1) << types.uint64(start & 63)
        outcome = 0
        while outcome == 0:
            if there[jobs.LOW] == there[jobs.HIGH] or back[jobs.LOW] == back[jobs.HIGH]:
                outcome = -1
            elif _dear(there, back):
                outcome = _level(back, there)
                if outcome == 1:
                    outcome = _joined(there, back, forward=False)
            else:
                outcome = _level(there, back)
                if outcome == 1:
                    outcome = _joined(there, back, forward=True)
        for job in (there, back):
            queue, bits = _ints(job[jobs.QUEUE]), _words(job[jobs.BITS])
            for at in range(job[jobs.HIGH]):
                bits[queue[at] >> 6] = 0
        return outcome

    return walk, meet
