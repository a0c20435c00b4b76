/*
 * ARN      = "arn:" PARTITION ":ecs:" REGION ":" ACCOUNT ":" RESOURCE
 * RESOURCE = "cluster/" NAME | "service/" NAME "/" NAME | "task/" NAME "/" ID
 *          | "service-deployment/" NAME "/" NAME "/" ID | "service-revision/" NAME "/" NAME "/" ID
 */
#include "model/arn.h"

#include "base/scan.h"

#include <assert.h>
#include <ecshist/limits.h>

enum { ACCOUNT_DIGITS = 12 };

/* A bit for each kind of run: what may stand in one is told by one bit, of several characters at once. */
enum { DIGITS = 1, TYPE = 2, WORD = 4, NAME = 8 };
enum {
    DIGIT = DIGITS | WORD | NAME,
    LETTER = TYPE | WORD | NAME,
    DASH = TYPE | WORD | NAME,
    UNDERSCORE = NAME
};

#define FOUR(at, c) [at] = c, [(at) + 1] = c, [(at) + 2] = c, [(at) + 3] = c
#define LETTERS(a)                                                                                 \
    FOUR(a, LETTER), FOUR((a) + 4, LETTER), FOUR((a) + 8, LETTER), FOUR((a) + 12, LETTER),         \
        FOUR((a) + 16, LETTER), FOUR((a) + 20, LETTER), [(a) + 24] = LETTER, [(a) + 25] = LETTER
static const uint8_t class_of[256] = {
    FOUR('0', DIGIT), FOUR('4', DIGIT), ['8'] = DIGIT, ['9'] = DIGIT,
    LETTERS('A'),     LETTERS('a'),     ['-'] = DASH,  ['_'] = UNDERSCORE,
};

/* By enum ehi_arn_kind. */
static const struct {
    const char *type, *what, *form;
    size_t type_length;
    bool has_service, has_id;
} kinds[] = {
    [EHI_ARN_CLUSTER] = {"cluster", "cluster", "it must end in cluster/CLUSTER", 7, false, false},
    [EHI_ARN_SERVICE] = {"service", "service", "it must end in service/CLUSTER/SERVICE", 7, true,
                         false},
    [EHI_ARN_DEPLOYMENT] = {"service-deployment", "service deployment",
                            "it must end in service-deployment/CLUSTER/SERVICE/ID", 18, true, true},
    [EHI_ARN_REVISION] = {"service-revision", "service revision",
                          "it must end in service-revision/CLUSTER/SERVICE/ID", 16, true, true},
    [EHI_ARN_TASK] = {"task", "task", "it must end in task/CLUSTER/ID", 4, false, true},
};

struct cursor {
    const uint8_t *next, *end;
};

/* The longest run of this kind. */
static inline struct ehi_slice take(struct cursor *c, unsigned run)
{
    const uint8_t *start = c->next, *next = start, *end = c->end;
    while (end - next >= 4 && (class_of[next[0]] & class_of[next[1]] & class_of[next[2]] &
                               class_of[next[3]] & run) != 0)
        next += 4;
    while (next < end && (class_of[*next] & run) != 0)
        next++;
    c->next = next;
    return ehi_slice(start, (size_t)(next - start));
}

static bool skip(struct cursor *c, char wanted)
{
    if (c->next == c->end || *c->next != (uint8_t)wanted)
        return false;
    c->next++;
    return true;
}

static bool skip_text(struct cursor *c, const char *text, size_t length)
{
    if ((size_t)(c->end - c->next) < length || memcmp(c->next, text, length) != 0)
        return false;
    c->next += length;
    return true;
}

static bool partition_valid(struct ehi_slice p)
{
    if (p.length < 3 || memcmp(p.data, "aws", 3) != 0)
        return false;
    return p.length == 3 || (p.length > 4 && p.data[3] == '-');
}

/* From here on NULL is success, a text is what is wrong. */

static const char *parse_owner(struct cursor *c, struct ehi_arn *arn)
{
    if (!skip_text(c, "arn:", 4))
        return "it must begin with \"arn:\"";
    arn->partition = take(c, WORD);
    if (!partition_valid(arn->partition) || !skip(c, ':'))
        return "the partition must be \"aws\" or begin with \"aws-\"";
    if (!skip_text(c, "ecs:", 4))
        return "it must name the service \"ecs\"";
    arn->region = take(c, WORD);
    if (arn->region.length == 0 || !skip(c, ':'))
        return "the region must be letters, digits and dashes";
    arn->account = take(c, DIGITS);
    if (arn->account.length != ACCOUNT_DIGITS || !skip(c, ':'))
        return "the account must be 12 digits";
    return NULL;
}

static const char *parse_type(struct cursor *c, struct ehi_arn *arn)
{
    struct ehi_slice type = take(c, TYPE);
    for (int k = EHI_ARN_CLUSTER; k <= EHI_ARN_TASK; k++) {
        if (type.length == kinds[k].type_length &&
            memcmp(type.data, kinds[k].type, type.length) == 0) {
            arn->kind = (enum ehi_arn_kind)k;
            return NULL;
        }
    }
    return "it must be of a cluster, service, service-deployment, service-revision or task";
}

/* "/" and a name. */
static const char *parse_name(struct cursor *c, const char *form, size_t most,
                              struct ehi_slice *out)
{
    if (!skip(c, '/'))
        return form;
    *out = take(c, NAME);
    if (out->length > most)
        return most == ECSHIST_MAX_NAME_BYTES ? "a name is longer than 255 bytes"
                                              : "the last part is longer than 128 bytes";
    return out->length == 0 ? form : NULL;
}

static const char *parse_resource(struct cursor *c, struct ehi_arn *arn)
{
    const char *wrong = parse_type(c, arn);
    if (wrong != NULL)
        return wrong;
    const char *form = kinds[arn->kind].form;
    wrong = parse_name(c, form, ECSHIST_MAX_NAME_BYTES, &arn->cluster);
    if (wrong == NULL && kinds[arn->kind].has_service)
        wrong = parse_name(c, form, ECSHIST_MAX_NAME_BYTES, &arn->service);
    if (wrong == NULL && kinds[arn->kind].has_id)
        wrong = parse_name(c, form, ECSHIST_MAX_RESOURCE_ID_BYTES, &arn->id);
    if (wrong != NULL || c->next == c->end)
        return wrong;
    return *c->next == '/' ? form : "names are of A-Z a-z 0-9 _ - only";
}

/* -- the fast way ------------------------------------------------------------------------------ */

#if EHI_SCAN_SSE2

/*
 * Takes what is an ARN, and nothing else: whatever it has doubts about is the slow way's, which also has the words for
 * what is wrong. Where the parts end is found 16 bytes at once: at what is no character of a name.
 */
enum { FAST_LEAST = 48, FAST_MOST = 256 };

/* A bit for each of 16 bytes: no A-Z a-z 0-9 _ - */
static inline unsigned separators16(const uint8_t *p)
{
    __m128i v = ehi_load16(p);
    /* A range as one comparison: moved down to the least signed bytes. */
    __m128i letter = _mm_add_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8(128 - 'a'));
    __m128i digit = _mm_add_epi8(v, _mm_set1_epi8(128 - '0'));
    __m128i is_letter = _mm_cmplt_epi8(letter, _mm_set1_epi8(-128 + 26));
    __m128i is_digit = _mm_cmplt_epi8(digit, _mm_set1_epi8(-128 + 10));
    __m128i other =
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('-')), _mm_cmpeq_epi8(v, _mm_set1_epi8('_')));
    __m128i name = _mm_or_si128(_mm_or_si128(is_letter, is_digit), other);
    return ~(unsigned)_mm_movemask_epi8(name) & 0xffff;
}

/* The same of what stands from `from` on, up to 16 bytes of it. The text itself has 16 or more. */
static inline unsigned separators_from(struct ehi_slice text, size_t from)
{
    size_t left = text.length - from;
    if (left >= 16)
        return separators16(text.data + from);
    return separators16(text.data + text.length - 16) >> (16 - left);
}

/* The separators among the 64 bytes, or as many as there are, from `from` on: 16 or more. */
static inline uint64_t separators64(struct ehi_slice text, size_t from)
{
    const uint8_t *p = text.data + from;
    size_t left = text.length - from, count = left < 64 ? left : 64;
    uint64_t bits = (uint64_t)separators16(p + count - 16) << (count - 16);
    for (size_t i = 0; i + 16 < count; i += 16)
        bits |= (uint64_t)separators16(p + i) << i;
    return bits;
}

/* At most two, wherever they are. Returns how many; 3: there are more. */
static unsigned find_far(struct ehi_slice text, size_t from, uint8_t at[2])
{
    unsigned count = 0;
    for (size_t word = from; word < text.length; word += 64) {
        uint64_t bits =
            text.length - word >= 16 ? separators64(text, word) : separators_from(text, word);
        for (; bits != 0; bits &= bits - 1) {
            if (count == 2)
                return 3;
            at[count++] = (uint8_t)(word + (unsigned)__builtin_ctzll(bits));
        }
    }
    return count;
}

/*
 * The same. By words of 64, since how many of them there are in each varies less than in 16, and a branch that varies costs more
 * than the rest.
 */
static inline unsigned find_separators(struct ehi_slice text, size_t from, uint8_t at[2])
{
    if (text.length - from < 16 || text.length - from > 64)
        return find_far(text, from, at);
    uint64_t first = separators64(text, from), second = first & (first - 1);
    if (first == 0)
        return 0;
    at[0] = (uint8_t)(from + (unsigned)__builtin_ctzll(first));
    if (second == 0)
        return 1;
    at[1] = (uint8_t)(from + (unsigned)__builtin_ctzll(second));
    return (second & (second - 1)) == 0 ? 2 : 3;
}

static inline bool twelve_digits(const uint8_t *p)
{
    return ehi_digits8(ehi_load8(p)) && ehi_digits8(ehi_load8(p + ACCOUNT_DIGITS - 8));
}

#define OWNER "arn:aws:ecs:"
enum { OWNER_BYTES = sizeof(OWNER) - 1, LONGEST_REGION = 15 };
static_assert(OWNER_BYTES == 8 + 4, "compared in two words");

/* How long the region behind OWNER is, an account behind it; 0: not known. */
static inline size_t fast_region(const uint8_t *p)
{
    const uint8_t *region = p + OWNER_BYTES;
    if (memcmp(p, OWNER, 8) != 0 || memcmp(p + 8, &OWNER[8], 4) != 0)
        return 0;
    unsigned colon = separators16(region) | 1u << (LONGEST_REGION + 1);
    unsigned bytes = (unsigned)__builtin_ctz(colon);
    __m128i dashes = _mm_cmpeq_epi8(ehi_load16(region), _mm_set1_epi8('_'));
    unsigned underscores = (unsigned)_mm_movemask_epi8(dashes) & ((1u << bytes) - 1);
    const uint8_t *account = region + bytes + 1;
    bool valid = bytes <= LONGEST_REGION && underscores == 0 && account[-1] == ':' &&
                 twelve_digits(account) && account[ACCOUNT_DIGITS] == ':';
    return valid ? bytes : 0;
}

#define BEGINS(text, left, literal)                                                                \
    ((left) >= sizeof(literal) && memcmp(text, literal, sizeof(literal) - 1) == 0)

static inline bool begins_as(const uint8_t *type, size_t left, int kind)
{
    size_t length = kinds[kind].type_length;
    return left > length && type[length] == '/' &&
           ehi_same_bytes(type, (const uint8_t *)kinds[kind].type, length);
}

/* The kind of what begins with this type and its slash; 0: none, or not the one that is wanted. */
static inline __attribute__((always_inline)) int fast_kind(const uint8_t *type, size_t left,
                                                           int wanted)
{
    if (wanted != 0)
        return begins_as(type, left, wanted) ? wanted : 0;
    if (BEGINS(type, left, "service-deployment/"))
        return EHI_ARN_DEPLOYMENT;
    if (BEGINS(type, left, "service-revision/"))
        return EHI_ARN_REVISION;
    if (BEGINS(type, left, "service/"))
        return EHI_ARN_SERVICE;
    if (BEGINS(type, left, "task/"))
        return EHI_ARN_TASK;
    return BEGINS(type, left, "cluster/") ? EHI_ARN_CLUSTER : 0;
}

/* Where an ARN's names begin, and end: another one begins behind the end. */
struct names {
    size_t start, end[3];
};

/* From `start` on: one, and another one behind each slash. None is empty, and the id is not too long. */
static inline __attribute__((always_inline)) bool fast_names(struct ehi_slice text, size_t start,
                                                             int kind, struct names *out)
{
    uint8_t slash[2] = {0, 0};
    unsigned more = (unsigned)kinds[kind].has_service + kinds[kind].has_id;
    if (find_separators(text, start, slash) != more)
        return false;
    out->start = start;
    out->end[0] = more > 0 ? slash[0] : text.length;
    out->end[1] = more > 1 ? slash[1] : text.length;
    out->end[2] = text.length;
    if (out->end[0] == start || (more > 0 && text.data[slash[0]] != '/') ||
        (more > 1 && text.data[slash[1]] != '/') || (more > 0 && out->end[1] == out->end[0] + 1) ||
        (more > 1 && out->end[2] == out->end[1] + 1))
        return false;
    return !kinds[kind].has_id ||
           text.length - out->end[more - 1] - 1 <= ECSHIST_MAX_RESOURCE_ID_BYTES;
}

static inline void put_slice(struct ehi_slice *out, const uint8_t *p, size_t from, size_t to)
{
    out->data = p + from;
    out->length = to - from;
}

/* All at once, each field once: what is copied right after it was written in pieces stalls. */
static inline __attribute__((always_inline)) void put_arn(struct ehi_arn *out,
                                                          struct ehi_slice text, int kind,
                                                          size_t region, const struct names *names)
{
    const uint8_t *p = text.data;
    size_t account = OWNER_BYTES + region + 1;
    unsigned id = kinds[kind].has_service ? 1 : 0; /* the name before it */
    out->kind = (enum ehi_arn_kind)kind;
    out->text = text;
    put_slice(&out->partition, p, 4, OWNER_BYTES - 5);
    put_slice(&out->region, p, OWNER_BYTES, account - 1);
    put_slice(&out->account, p, account, account + ACCOUNT_DIGITS);
    put_slice(&out->cluster, p, names->start, names->end[0]);
    out->service.data = kinds[kind].has_service ? p + names->end[0] + 1 : NULL;
    out->service.length = kinds[kind].has_service ? names->end[1] - names->end[0] - 1 : 0;
    out->id.data = kinds[kind].has_id ? p + names->end[id] + 1 : NULL;
    out->id.length = kinds[kind].has_id ? text.length - names->end[id] - 1 : 0;
}

/* `wanted`: a kind, 0 for any. Where it returns false, nothing was done. */
static inline __attribute__((always_inline)) bool parse_fast(struct ehi_slice text, int wanted,
                                                             struct ehi_arn *out)
{
    struct names names;
    if (text.length < FAST_LEAST || text.length >= FAST_MOST)
        return false;
    size_t region = fast_region(text.data);
    size_t type = OWNER_BYTES + region + 1 + ACCOUNT_DIGITS + 1;
    if (region == 0)
        return false;
    int kind = fast_kind(text.data + type, text.length - type, wanted);
    if (kind == 0 || !fast_names(text, type + kinds[kind].type_length + 1, kind, &names))
        return false;
    put_arn(out, text, kind, region, &names);
    return true;
}

/* From there on; what is before it is FAST_LEAST bytes or more, with it. */
static inline bool ends_in_name(struct ehi_slice text, size_t from)
{
    size_t count = text.length - from;
    const uint8_t *end = text.data + text.length;
    if (count <= 32) {
        uint64_t wrong = (uint64_t)separators16(end - 32) | (uint64_t)separators16(end - 16) << 16;
        return wrong >> (32 - count) == 0;
    }
    uint64_t wrong = 0;
    for (size_t i = from; i < text.length; i += 64)
        wrong |= text.length - i >= 16 ? separators64(text, i) : separators_from(text, i);
    return wrong == 0;
}

#else

enum { FAST_LEAST = 48, FAST_MOST = 256 };

static bool parse_fast(struct ehi_slice text, int wanted, struct ehi_arn *out)
{
    (void)text;
    (void)wanted;
    (void)out;
    return false;
}

static bool ends_in_name(struct ehi_slice text, size_t from)
{
    struct cursor c = {text.data + from, text.data + text.length};
    (void)take(&c, NAME);
    return c.next == c.end;
}

#endif

static inline __attribute__((always_inline)) bool
is_sibling(struct ehi_slice text, enum ehi_arn_kind kind, const struct ehi_arn *of)
{
    const struct ehi_slice *last = kinds[kind].has_service ? &of->service : &of->cluster;
    const uint8_t *type = (const uint8_t *)kinds[kind].type, *at = text.data;
    if (text.length < FAST_LEAST || text.length >= FAST_MOST || last->length == 0)
        return false;
    const uint8_t *owner_end = of->account.data + ACCOUNT_DIGITS + 1;
    const uint8_t *names = of->cluster.data - 1; /* with its slash */
    size_t owner = (size_t)(owner_end - of->text.data), type_length = kinds[kind].type_length;
    size_t named = (size_t)(last->data + last->length - names);
    size_t id_at = owner + type_length + named + 1;
    if (text.length <= id_at || text.length - id_at > ECSHIST_MAX_RESOURCE_ID_BYTES ||
        !ehi_same_bytes(at, of->text.data, owner) || !ehi_same_bytes(at + owner, type, type_length))
        return false;
    at += owner + type_length;
    return ehi_same_bytes(at, names, named) && at[named] == '/' && ends_in_name(text, id_at);
}

bool ehi_arn_is_sibling(struct ehi_slice text, enum ehi_arn_kind kind, const struct ehi_arn *of)
{
    if (kind == EHI_ARN_REVISION)
        return is_sibling(text, EHI_ARN_REVISION, of);
    return is_sibling(text, kind, of);
}

/* -- both -------------------------------------------------------------------------------------- */

/* Where something is wrong, *out is anything. */
static const char *parse(struct ehi_slice text, struct ehi_arn *out)
{
    if (text.length == 0)
        return "it is empty";
    struct cursor c = {text.data, text.data + text.length};
    *out = (struct ehi_arn){.text = text};
    const char *wrong = parse_owner(&c, out);
    return wrong == NULL ? parse_resource(&c, out) : wrong;
}

static int too_long(struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_LIMIT, "an ARN longer than %u bytes", ECSHIST_MAX_ARN_BYTES);
}

int ehi_arn_parse(struct ehi_slice text, struct ehi_arn *out, struct ecshist_error *error)
{
    if (parse_fast(text, 0, out))
        return ECSHIST_OK;
    if (text.length > ECSHIST_MAX_ARN_BYTES)
        return too_long(error);
    struct ehi_arn arn;
    const char *wrong = parse(text, &arn);
    if (wrong != NULL)
        return ehi_fail(error, ECSHIST_INVALID, "not an ARN of ECS: %s", wrong);
    *out = arn;
    return ECSHIST_OK;
}

static __attribute__((noinline)) int parse_slowly_as(enum ehi_arn_kind kind, struct ehi_slice text,
                                                     struct ehi_arn *out,
                                                     struct ecshist_error *error)
{
    if (text.length > ECSHIST_MAX_ARN_BYTES)
        return too_long(error);
    struct ehi_arn arn;
    const char *wrong = parse(text, &arn);
    if (wrong != NULL)
        return ehi_fail(error, ECSHIST_INVALID, "not the ARN of a %s: %s", kinds[kind].what, wrong);
    if (arn.kind != kind)
        return ehi_fail(error, ECSHIST_INVALID, "not the ARN of a %s: %.*s", kinds[kind].what,
                        EHI_FMT(text));
    *out = arn;
    return ECSHIST_OK;
}

/* What subjects mostly are have a copy each, in which all of their kind is known when it is compiled. */
static inline bool parse_usual(enum ehi_arn_kind kind, struct ehi_slice text, struct ehi_arn *out)
{
    switch (kind) {
    case EHI_ARN_DEPLOYMENT:
        return parse_fast(text, EHI_ARN_DEPLOYMENT, out);
    case EHI_ARN_REVISION:
        return parse_fast(text, EHI_ARN_REVISION, out);
    default:
        return parse_fast(text, (int)kind, out);
    }
}

int ehi_arn_parse_as(enum ehi_arn_kind kind, struct ehi_slice text, struct ehi_arn *out,
                     struct ecshist_error *error)
{
    return parse_usual(kind, text, out) ? ECSHIST_OK : parse_slowly_as(kind, text, out, error);
}

bool ehi_arn_same_cluster(const struct ehi_arn *a, const struct ehi_arn *b)
{
    /* The parts that differ most often first. */
    return ehi_slice_equal(a->cluster, b->cluster) && ehi_slice_equal(a->account, b->account) &&
           ehi_slice_equal(a->region, b->region) && ehi_slice_equal(a->partition, b->partition);
}

bool ehi_arn_same_service(const struct ehi_arn *a, const struct ehi_arn *b)
{
    if (!ehi_arn_same_cluster(a, b))
        return false;
    return a->service.length == 0 || b->service.length == 0 ||
           ehi_slice_equal(a->service, b->service);
}

static char *put(char *at, const void *data, size_t length)
{
    memcpy(at, data, length);
    return at + length;
}

/* What stands before the type is taken over as it is, the names behind it too. */
static struct ehi_slice make(const struct ehi_arn *arn, enum ehi_arn_kind kind,
                             struct ehi_slice last, char buffer[EHI_ARN_BUFFER])
{
    const uint8_t *type = arn->account.data + ACCOUNT_DIGITS + 1;
    char *at = put(buffer, arn->text.data, (size_t)(type - arn->text.data));
    at = put(at, kinds[kind].type, kinds[kind].type_length);
    *at++ = '/';
    at = put(at, arn->cluster.data, (size_t)(last.data + last.length - arn->cluster.data));
    *at = '\0';
    return ehi_slice(buffer, (size_t)(at - buffer));
}

struct ehi_slice ehi_arn_service(const struct ehi_arn *arn, char buffer[EHI_ARN_BUFFER])
{
    buffer[0] = '\0';
    if (arn->service.length == 0)
        return EHI_SLICE_EMPTY;
    return make(arn, EHI_ARN_SERVICE, arn->service, buffer);
}

struct ehi_slice ehi_arn_cluster(const struct ehi_arn *arn, char buffer[EHI_ARN_BUFFER])
{
    return make(arn, EHI_ARN_CLUSTER, arn->cluster, buffer);
}

bool ehi_name_valid(struct ehi_slice name)
{
    if (name.length == 0 || name.length > ECSHIST_MAX_NAME_BYTES)
        return false;
    struct cursor c = {name.data, name.data + name.length};
    return take(&c, NAME).length == name.length;
}
