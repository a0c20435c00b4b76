/*
 * ARN      = "arn:" PARTITION ":ecs:" REGION ":" ACCOUNT ":" RESOURCE
 * RESOURCE = "cluster/" NAME | "service/" NAME "/" NAME | "task/" NAME "/" ID
 *          | "service-deployment/" NAME "/" NAME "/" ID | "service-revision/" NAME "/" NAME "/" ID
 */
#include "model/arn.h"

#include <ecshist/limits.h>

enum { ACCOUNT_DIGITS = 12 };

enum { DIGIT = 1, LETTER = 2, DASH = 4, UNDERSCORE = 8 };
#define WORD (DIGIT | LETTER | DASH)
#define NAME (WORD | UNDERSCORE)

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

/*
 * Sixteen characters at once, in the compiler's vectors: how many of them, from the first, can stand in a name. On a
 * machine whose first byte is not the lowest they are looked at one by one.
 */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
typedef uint8_t sixteen __attribute__((vector_size(16)));

static unsigned name_run(const uint8_t *p)
{
    sixteen v;
    uint64_t halves[2];
    memcpy(&v, p, sizeof(v));
    sixteen of_name = (sixteen)((v | 0x20) - 'a' < 26) | (sixteen)(v - '0' < 10) |
                      (sixteen)(v == '-') | (sixteen)(v == '_');
    memcpy(halves, &of_name, sizeof(halves));
    if (halves[0] != UINT64_MAX)
        return (unsigned)__builtin_ctzll(~halves[0]) / 8;
    return halves[1] == UINT64_MAX ? 16 : 8 + (unsigned)__builtin_ctzll(~halves[1]) / 8;
}
#else
static unsigned name_run(const uint8_t *p)
{
    unsigned n = 0;
    while (n < 16 && (class_of[p[n]] & NAME) != 0)
        n++;
    return n;
}
#endif

/* The longest run of these characters. */
static struct ehi_slice take(struct cursor *c, unsigned classes)
{
    const uint8_t *start = c->next, *p = start, *end = c->end;
    while (p < end && (class_of[*p] & classes) != 0)
        p++;
    c->next = p;
    return ehi_slice(start, (size_t)(p - start));
}

/* The same of names, which are long. */
static struct ehi_slice take_name(struct cursor *c)
{
    const uint8_t *start = c->next, *p = start;
    while (c->end - p >= 16) {
        unsigned run = name_run(p);
        p += run;
        if (run < 16) {
            c->next = p;
            return ehi_slice(start, (size_t)(p - start));
        }
    }
    c->next = p;
    (void)take(c, NAME);
    return ehi_slice(start, (size_t)(c->next - start));
}

static bool are_digits(uint64_t v)
{
    const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0), zeros = UINT64_C(0x3030303030303030);
    return (v & high) == zeros && ((v + UINT64_C(0x0606060606060606)) & high) == zeros;
}

/* Of an account's digits there are twelve. */
static struct ehi_slice take_digits(struct cursor *c)
{
    uint64_t first, last;
    const uint8_t *start = c->next;
    if (c->end - start <= ACCOUNT_DIGITS || start[ACCOUNT_DIGITS] != ':')
        return take(c, DIGIT);
    memcpy(&first, start, 8);
    memcpy(&last, start + ACCOUNT_DIGITS - 8, 8);
    if (!are_digits(first) || !are_digits(last))
        return take(c, DIGIT);
    c->next += ACCOUNT_DIGITS;
    return ehi_slice(start, ACCOUNT_DIGITS);
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
    arn->account = take_digits(c);
    if (arn->account.length != ACCOUNT_DIGITS || !skip(c, ':'))
        return "the account must be 12 digits";
    return NULL;
}

/* The type stands there, and no more letters behind it. */
static bool is_type(const struct cursor *c, int kind)
{
    size_t length = kinds[kind].type_length;
    if ((size_t)(c->end - c->next) < length || memcmp(c->next, kinds[kind].type, length) != 0)
        return false;
    return c->next + length == c->end || (class_of[c->next[length]] & (LETTER | DASH)) == 0;
}

static const char *parse_type(struct cursor *c, struct ehi_arn *arn)
{
    /* The most frequent first. */
    static const uint8_t order[] = {EHI_ARN_DEPLOYMENT, EHI_ARN_REVISION, EHI_ARN_SERVICE,
                                    EHI_ARN_TASK, EHI_ARN_CLUSTER};
    for (size_t i = 0; i < sizeof(order); i++) {
        if (is_type(c, order[i])) {
            arn->kind = (enum ehi_arn_kind)order[i];
            c->next += kinds[order[i]].type_length;
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
    *out = take_name(c);
    if (out->length > most)
        return most == ECSHIST_MAX_NAME_BYTES ? "a name is longer than 255 bytes"
                                              : "the last part is longer than 128 bytes";
    return out->length == 0 ? form : NULL;
}

static const char *parse_names(struct cursor *c, struct ehi_arn *arn)
{
    const char *form = kinds[arn->kind].form;
    const char *wrong = parse_name(c, form, ECSHIST_MAX_NAME_BYTES, &arn->cluster);
    if (wrong == NULL && kinds[arn->kind].has_service)
        wrong = parse_name(c, form, ECSHIST_MAX_NAME_BYTES, &arn->service);
    if (wrong == NULL && kinds[arn->kind].has_id)
        wrong = parse_name(c, form, ECSHIST_MAX_RESOURCE_ID_BYTES, &arn->id);
    if (wrong != NULL || c->next == c->end)
        return wrong;
    return *c->next == '/' ? form : "names are of A-Z a-z 0-9 _ - only";
}

static const char *parse_resource(struct cursor *c, struct ehi_arn *arn)
{
    const char *wrong = parse_type(c, arn);
    return wrong == NULL ? parse_names(c, arn) : wrong;
}

static const char *parse(struct ehi_slice text, struct ehi_arn *out)
{
    if (text.length == 0)
        return "it is empty";
    struct cursor c = {text.data, text.data + text.length};
    struct ehi_arn arn = {.text = text};
    const char *wrong = parse_owner(&c, &arn);
    if (wrong == NULL)
        wrong = parse_resource(&c, &arn);
    if (wrong == NULL)
        *out = arn;
    return wrong;
}

static int too_long(struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_LIMIT, "an ARN longer than %u bytes", ECSHIST_MAX_ARN_BYTES);
}

int ehi_arn_parse(struct ehi_slice text, struct ehi_arn *out, struct ecshist_error *error)
{
    if (text.length > ECSHIST_MAX_ARN_BYTES)
        return too_long(error);
    const char *wrong = parse(text, out);
    if (wrong != NULL)
        return ehi_fail(error, ECSHIST_INVALID, "not an ARN of ECS: %s", wrong);
    return ECSHIST_OK;
}

int ehi_arn_parse_as(enum ehi_arn_kind kind, struct ehi_slice text, struct ehi_arn *out,
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

static struct ehi_slice moved(struct ehi_slice part, const struct ehi_arn *from,
                              const uint8_t *text)
{
    return part.length == 0 ? part : ehi_slice(text + (part.data - from->text.data), part.length);
}

void ehi_arn_keep(const struct ehi_arn *arn, uint8_t *text, struct ehi_arn *out)
{
    memcpy(text, arn->text.data, arn->text.length);
    *out = (struct ehi_arn){.kind = arn->kind,
                            .text = ehi_slice(text, arn->text.length),
                            .partition = moved(arn->partition, arn, text),
                            .region = moved(arn->region, arn, text),
                            .account = moved(arn->account, arn, text),
                            .cluster = moved(arn->cluster, arn, text),
                            .service = moved(arn->service, arn, text),
                            .id = moved(arn->id, arn, text)};
}

bool ehi_arn_parse_like(const struct ehi_arn *known, struct ehi_slice text, struct ehi_arn *out)
{
    if (known->text.length == 0 || text.length > ECSHIST_MAX_ARN_BYTES)
        return false;
    size_t head = (size_t)(known->cluster.data - known->text.data) - 1;
    if (text.length <= head || memcmp(known->text.data, text.data, head) != 0)
        return false;
    out->kind = known->kind;
    out->text = text;
    out->partition = moved(known->partition, known, text.data);
    out->region = moved(known->region, known, text.data);
    out->account = moved(known->account, known, text.data);
    out->service = out->id = EHI_SLICE_EMPTY;
    struct cursor c = {text.data + head, text.data + text.length};
    return parse_names(&c, out) == NULL;
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
    return take_name(&c).length == name.length;
}
