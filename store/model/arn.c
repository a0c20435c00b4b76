/*
 * ARN      = "arn:" PARTITION ":ecs:" REGION ":" ACCOUNT ":" RESOURCE
 * RESOURCE = "cluster/" NAME | "service/" NAME "/" NAME | "task/" NAME "/" ID
 *          | "service-deployment/" NAME "/" NAME "/" ID | "service-revision/" NAME "/" NAME "/" ID
 */
#include "model/arn.h"

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
