/* The limit: closures, filtered closures and two-sided paths over rows of 32-bit numbers.

   Plain loops, one thread. Seen things carry the number of the walk (a stamp), so nothing is
   cleared between walks; the *_bits form keeps one bit a thing, fetches rows ahead and clears
   through its own result. Masked forms look up each edge's code in a table of 256 entries. */

#include <stdint.h>
#include <stddef.h>

typedef struct {
    const int32_t *pointers;
    const int32_t *others;
    const uint8_t *codes;
} Rows;

int32_t closure(const Rows *rows, int32_t start, int32_t hops, uint32_t *stamps, uint32_t stamp,
                int32_t *ids, int32_t *depths)
{
    int32_t head = 0, tail = 1;
    ids[0] = start;
    depths[0] = 0;
    stamps[start] = stamp;
    while (head < tail) {
        int32_t thing = ids[head], depth = depths[head++] + 1;
        if (depth > hops) break;
        for (int32_t at = rows->pointers[thing]; at < rows->pointers[thing + 1]; at++) {
            int32_t other = rows->others[at];
            if (stamps[other] == stamp) continue;
            stamps[other] = stamp;
            depths[tail] = depth;
            ids[tail++] = other;
        }
    }
    return tail;
}

int32_t closure_masked(const Rows *rows, int32_t start, int32_t hops, const uint8_t *mask,
                       uint32_t *stamps, uint32_t stamp, int32_t *ids, int32_t *depths)
{
    int32_t head = 0, tail = 1;
    ids[0] = start;
    depths[0] = 0;
    stamps[start] = stamp;
    while (head < tail) {
        int32_t thing = ids[head], depth = depths[head++] + 1;
        if (depth > hops) break;
        for (int32_t at = rows->pointers[thing]; at < rows->pointers[thing + 1]; at++) {
            if (!mask[rows->codes[at]]) continue;
            int32_t other = rows->others[at];
            if (stamps[other] == stamp) continue;
            stamps[other] = stamp;
            depths[tail] = depth;
            ids[tail++] = other;
        }
    }
    return tail;
}

/* One bit a thing; the row of what is reached soon is fetched while this one is looked at. */
int32_t closure_bits(const Rows *rows, int32_t start, int32_t hops, uint64_t *bits, int32_t *ids,
                     int32_t *depths)
{
    int32_t head = 0, tail = 1;
    ids[0] = start;
    depths[0] = 0;
    bits[start >> 6] |= 1ULL << (start & 63);
    while (head < tail) {
        int32_t thing = ids[head], depth = depths[head] + 1;
        if (head + 8 < tail) __builtin_prefetch(&rows->pointers[ids[head + 8]]);
        if (head + 4 < tail) __builtin_prefetch(&rows->others[rows->pointers[ids[head + 4]]]);
        head++;
        if (depth > hops) break;
        for (int32_t at = rows->pointers[thing]; at < rows->pointers[thing + 1]; at++) {
            int32_t other = rows->others[at];
            uint64_t bit = 1ULL << (other & 63);
            if (bits[other >> 6] & bit) continue;
            bits[other >> 6] |= bit;
            depths[tail] = depth;
            ids[tail++] = other;
        }
    }
    for (int32_t at = 0; at < tail; at++) bits[ids[at] >> 6] = 0;
    return tail;
}

/* The closure, of which those of one type and stage are returned. */
int32_t filtered(const Rows *rows, int32_t start, const uint8_t *types, const uint8_t *stages,
                 uint8_t type, uint8_t stage, uint32_t *stamps, uint32_t stamp, int32_t *ids,
                 int32_t *found)
{
    int32_t head = 0, tail = 1, count = 0;
    ids[0] = start;
    stamps[start] = stamp;
    while (head < tail) {
        int32_t thing = ids[head++];
        for (int32_t at = rows->pointers[thing]; at < rows->pointers[thing + 1]; at++) {
            int32_t other = rows->others[at];
            if (stamps[other] == stamp) continue;
            stamps[other] = stamp;
            ids[tail++] = other;
            if (types[other] == type && stages[other] == stage) found[count++] = other;
        }
    }
    return count;
}

/* One level of one side of a path search, stopped where the other side is met. */
static int32_t level(const Rows *rows, int32_t *queue, int32_t head, int32_t *tail,
                     uint32_t *mine, const uint32_t *theirs, int32_t *parents, uint32_t stamp)
{
    int32_t end = *tail;
    for (; head < end; head++) {
        int32_t thing = queue[head];
        for (int32_t at = rows->pointers[thing]; at < rows->pointers[thing + 1]; at++) {
            int32_t other = rows->others[at];
            if (mine[other] == stamp) continue;
            mine[other] = stamp;
            parents[other] = thing;
            if (theirs[other] == stamp) return other;
            queue[(*tail)++] = other;
        }
    }
    return -1;
}

static int64_t cost(const Rows *rows, const int32_t *queue, int32_t head, int32_t tail)
{
    int64_t edges = 0;
    for (; head < tail; head++)
        edges += rows->pointers[queue[head] + 1] - rows->pointers[queue[head]];
    return edges;
}

/* A shortest path, by levels from both ends, always the cheaper one; its length in things or 0. */
int32_t path(const Rows *down, const Rows *up, int32_t from, int32_t to, uint32_t *stamps_down,
             uint32_t *stamps_up, int32_t *parents_down, int32_t *parents_up, uint32_t stamp,
             int32_t *queue_down, int32_t *queue_up, int32_t *found)
{
    int32_t head_d = 0, tail_d = 1, head_u = 0, tail_u = 1, met = from == to ? from : -1;
    queue_down[0] = from;
    queue_up[0] = to;
    stamps_down[from] = stamps_up[to] = stamp;
    parents_down[from] = parents_up[to] = -1;
    while (met < 0 && head_d < tail_d && head_u < tail_u) {
        if (cost(down, queue_down, head_d, tail_d) <= cost(up, queue_up, head_u, tail_u)) {
            int32_t end = tail_d;
            met = level(down, queue_down, head_d, &tail_d, stamps_down, stamps_up, parents_down, stamp);
            head_d = end;
        } else {
            int32_t end = tail_u;
            met = level(up, queue_up, head_u, &tail_u, stamps_up, stamps_down, parents_up, stamp);
            head_u = end;
        }
    }
    if (met < 0) return 0;
    int32_t count = 0;
    for (int32_t thing = met; thing >= 0; thing = parents_down[thing]) count++;
    int32_t at = count;
    for (int32_t thing = met; thing >= 0; thing = parents_down[thing]) found[--at] = thing;
    for (int32_t thing = parents_up[met]; thing >= 0; thing = parents_up[thing]) found[count++] = thing;
    return count;
}
