/*
 * A state is an array of values by position; a list in it is an array of its items' values, one
 * behind the other. What is not set (a time, a text, a weight, a document) is nil.
 *
 * deployment = [arn, created_seq, last_seq, last_observed_seq, flags, status, stage,
 *               created, started, finished, stopped, updated, status_reason,
 *               [SUMMARY of the target], [SUMMARY of each source …],
 *               configuration's document, threshold type, threshold value, [configured alarms …],
 *               rollback_reason, rollback_revision_arn, rollback_started,
 *               breaker_status, failure_count, threshold, known_count, alarm_status,
 *               [alarm names …] or nil where they are the configured ones, [triggered alarms …],
 *               [HOOK …], extra]
 * Of a deployment's times all but `created` are told from that one on. An ARN of a revision of its own service is told by its
 * id alone: a number where it is one, else a text with a colon before it.
 *
 * The ARN of a deployment or revision is a text, or, as nearly all are, bytes (MessagePack's bin 8):
 *
 * ARN        = region, account (5 bytes, little-endian), cluster, service, id: each but the account a short (codec/short.h) of
 *              coding 1 or 2; of partition aws
 *
 * SUMMARY    = arn, requested, running, pending, test weight, production weight
 * HOOK       = id, target_arn, target_type, status, timeout_action, expires_at, extra
 * revision   = [arn, document_seq, first_seq, observed, created]
 * service    = [arn, first_seq, restated, inactive, current_revision_arn, current_finished,
 *               current_created_seq, stated_revision_arn, stated_finished, stated_created_seq,
 *               [by_status …]]
 */
#include "codec/state.h"

#include "codec/cursor.h"
#include "codec/pack.h"
#include "codec/short.h"
#include "model/arn.h"

#include <ecshist/limits.h>

enum {
    DEPLOYMENT_VALUES = 31,
    SUMMARY_VALUES = 6,
    HOOK_VALUES = 7,
    REVISION_VALUES = 5,
    SERVICE_VALUES = 11,
    STATUS_COUNTS = 16,
    BIN_8 = 0xc4,
    MOST_DIGITS = 19, /* of INT64_MAX */
    ACCOUNT_DIGITS = 12,
    ACCOUNT_BYTES = 5,
    /* A hook's extra members stand one level deeper than in the event that they came in. */
    STATE_NESTING = ECSHIST_MAX_NESTING + 2
};

enum flag {
    BREAKER_ENABLED = 1,
    RESET_ON_HEALTHY = 2,
    ALARMS_ENABLED = 4,
    HAS_ROLLBACK = 8,
    HAS_DESIRED = 16
};

/* Writing. */

static void put_optional(struct ehi_packer *p, struct ehi_slice text)
{
    if (text.data == NULL)
        ehi_pack_nil(p);
    else
        ehi_pack_text(p, text);
}

static void put_time(struct ehi_packer *p, int64_t time_us)
{
    if (time_us == EHI_TIME_NONE)
        ehi_pack_nil(p);
    else
        ehi_pack_int(p, time_us);
}

/* Unsigned, so that whatever two times there are, the difference is one that gives the second from the first. */
static void put_time_from(struct ehi_packer *p, int64_t from_us, int64_t time_us)
{
    if (time_us == EHI_TIME_NONE)
        ehi_pack_nil(p);
    else
        ehi_pack_int(p, (int64_t)((uint64_t)time_us - (uint64_t)from_us));
}

static void put_document(struct ehi_packer *p, struct ehi_slice document)
{
    if (document.length == 0)
        ehi_pack_nil(p);
    else
        ehi_pack_raw(p, document);
}

static void put_weight(struct ehi_packer *p, bool has, double weight)
{
    if (has)
        ehi_pack_real(p, weight);
    else
        ehi_pack_nil(p);
}

static void put_texts(struct ehi_packer *p, const struct ehi_slice *texts, uint32_t count)
{
    ehi_pack_array(p, count);
    for (uint32_t i = 0; i < count; i++)
        ehi_pack_text(p, texts[i]);
}

/* What the ARNs of a service's revisions have in common: what is before the kind, and what is between kind and id. */
struct revision_arns {
    struct ehi_slice front, path;
};

static const struct ehi_slice revision_kind = EHI_SLICE_LITERAL("service-revision/"),
                              deployment_kind = EHI_SLICE_LITERAL("service-deployment/");

/* Of the ARN of one of its deployments; empty where that is none. */
static struct revision_arns revisions_beside(struct ehi_slice deployment)
{
    if (deployment.length == 0)
        return (struct revision_arns){EHI_SLICE_EMPTY, EHI_SLICE_EMPTY};
    const uint8_t *end = deployment.data + deployment.length, *kind = deployment.data;
    for (int colons = 0; colons < 5 && kind != NULL; colons++) {
        kind = kind == end ? NULL : memchr(kind, ':', (size_t)(end - kind));
        kind = kind == NULL ? NULL : kind + 1;
    }
    const uint8_t *slash = memrchr(deployment.data, '/', deployment.length);
    if (kind == NULL || slash == NULL || slash < kind ||
        (size_t)(slash + 1 - kind) <= deployment_kind.length ||
        memcmp(kind, deployment_kind.data, deployment_kind.length) != 0)
        return (struct revision_arns){EHI_SLICE_EMPTY, EHI_SLICE_EMPTY};
    const uint8_t *path = kind + deployment_kind.length;
    return (struct revision_arns){ehi_slice(deployment.data, (size_t)(kind - deployment.data)),
                                  ehi_slice(path, (size_t)(slash + 1 - path))};
}

static bool skip(struct ehi_slice *text, struct ehi_slice part)
{
    if (text->length < part.length || memcmp(text->data, part.data, part.length) != 0)
        return false;
    *text = ehi_slice(text->data + part.length, text->length - part.length);
    return true;
}

static bool is_short(struct ehi_slice part)
{
    return part.length > 0 && part.length <= EHI_SHORT_MOST;
}

static uint64_t number_of(struct ehi_slice digits)
{
    uint64_t number = 0;
    for (size_t i = 0; i < digits.length; i++)
        number = number * 10 + (unsigned)(digits.data[i] - '0');
    return number;
}

/* An ARN's parts are of letters, digits, "-" and "_" only: shorts of them are never plain texts. */
static void put_arn(struct ehi_packer *p, enum ehi_arn_kind kind, struct ehi_slice text)
{
    uint8_t bytes[2 + 4 * EHI_SHORT_BYTES + ACCOUNT_BYTES], *to = bytes + 2;
    struct ehi_arn arn;
    if (ehi_arn_parse_as(kind, text, &arn, NULL) != ECSHIST_OK ||
        !ehi_slice_is(arn.partition, "aws") || !is_short(arn.region) || !is_short(arn.cluster) ||
        !is_short(arn.service) || !is_short(arn.id)) {
        ehi_pack_text(p, text);
        return;
    }
    to = ehi_short_put(to, arn.region);
    uint64_t account = number_of(arn.account);
    for (int i = 0; i < ACCOUNT_BYTES; i++, account >>= 8)
        *to++ = (uint8_t)account;
    to = ehi_short_put(ehi_short_put(ehi_short_put(to, arn.cluster), arn.service), arn.id);
    size_t length = (size_t)(to - bytes);
    if (length - 2 > UINT8_MAX) {
        ehi_pack_text(p, text);
        return;
    }
    bytes[0] = BIN_8;
    bytes[1] = (uint8_t)(length - 2);
    ehi_pack_raw(p, ehi_slice(bytes, length));
}

/* An id that is a number, and is written as that number is. */
static bool is_number(struct ehi_slice id)
{
    if (id.length == 0 || id.length > MOST_DIGITS || (id.data[0] == '0' && id.length > 1))
        return false;
    for (size_t i = 0; i < id.length; i++) {
        if (id.data[i] < '0' || id.data[i] > '9')
            return false;
    }
    return number_of(id) <= INT64_MAX;
}

static void put_revision_id(struct ehi_packer *p, struct ehi_slice id)
{
    if (is_number(id)) {
        ehi_pack_int(p, (int64_t)number_of(id));
    } else {
        struct ehi_slice parts[2] = {EHI_SLICE_LITERAL(":"), id};
        ehi_pack_text_parts(p, parts, 2);
    }
}

/* The ARN of a revision, or nil. */
static void put_revision(struct ehi_packer *p, const struct revision_arns *beside,
                         struct ehi_slice arn)
{
    struct ehi_slice id = arn;
    if (arn.data == NULL) {
        ehi_pack_nil(p);
    } else if (beside->front.length != 0 && skip(&id, beside->front) && skip(&id, revision_kind) &&
               skip(&id, beside->path)) {
        put_revision_id(p, id);
    } else {
        ehi_pack_text(p, arn);
    }
}

static void put_summaries(struct ehi_packer *p, const struct revision_arns *beside,
                          const struct ehi_revision_summary *summaries, uint32_t count)
{
    ehi_pack_array(p, count * SUMMARY_VALUES);
    for (uint32_t i = 0; i < count; i++) {
        const struct ehi_revision_summary *s = &summaries[i];
        put_revision(p, beside, s->arn);
        ehi_pack_int(p, s->requested);
        ehi_pack_int(p, s->running);
        ehi_pack_int(p, s->pending);
        put_weight(p, s->has_test_weight, s->test_weight);
        put_weight(p, s->has_production_weight, s->production_weight);
    }
}

static void put_hooks(struct ehi_packer *p, const struct ehi_hook *hooks, uint32_t count)
{
    ehi_pack_array(p, count * HOOK_VALUES);
    for (uint32_t i = 0; i < count; i++) {
        const struct ehi_hook *h = &hooks[i];
        ehi_pack_text(p, h->id);
        put_optional(p, h->target_arn);
        ehi_pack_int(p, h->target_type);
        ehi_pack_int(p, h->status);
        ehi_pack_int(p, h->timeout_action);
        put_time(p, h->expires_at_us);
        put_document(p, h->extra);
    }
}

static unsigned flags_of(const struct ehi_deployment *d)
{
    return (d->configuration.breaker_enabled ? BREAKER_ENABLED : 0u) |
           (d->configuration.reset_on_healthy ? RESET_ON_HEALTHY : 0u) |
           (d->configuration.alarms_enabled ? ALARMS_ENABLED : 0u) |
           (d->has_rollback ? HAS_ROLLBACK : 0u) | (d->has_desired ? HAS_DESIRED : 0u);
}

static void put_head(struct ehi_packer *p, const struct ehi_deployment *d)
{
    put_arn(p, EHI_ARN_DEPLOYMENT, d->arn);
    ehi_pack_int(p, (int64_t)d->created_seq);
    ehi_pack_int(p, (int64_t)d->last_seq);
    ehi_pack_int(p, (int64_t)d->last_observed_seq);
    ehi_pack_int(p, flags_of(d));
    ehi_pack_int(p, d->status);
    ehi_pack_int(p, d->stage);
    put_time(p, d->created_at_us);
    put_time_from(p, d->created_at_us, d->started_at_us);
    put_time_from(p, d->created_at_us, d->finished_at_us);
    put_time_from(p, d->created_at_us, d->stopped_at_us);
    put_time_from(p, d->created_at_us, d->updated_at_us);
    put_optional(p, d->status_reason);
}

static void put_configuration(struct ehi_packer *p, const struct ehi_configuration *c)
{
    put_document(p, c->document);
    ehi_pack_int(p, c->threshold_type);
    ehi_pack_int(p, c->threshold_value);
    put_texts(p, c->alarm_names, c->alarm_count);
}

static bool same_texts(const struct ehi_slice *a, uint32_t a_count, const struct ehi_slice *b,
                       uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++) {
        if (!ehi_slice_equal(a[i], b[i]))
            return false;
    }
    return true;
}

static void put_monitors(struct ehi_packer *p, const struct revision_arns *beside,
                         const struct ehi_deployment *d)
{
    const struct ehi_configuration *c = &d->configuration;
    put_optional(p, d->rollback_reason);
    put_revision(p, beside, d->rollback_revision_arn);
    put_time_from(p, d->created_at_us, d->rollback_started_at_us);
    ehi_pack_int(p, d->breaker_status);
    ehi_pack_int(p, d->failure_count);
    ehi_pack_int(p, d->threshold);
    ehi_pack_int(p, d->known_count);
    ehi_pack_int(p, d->alarm_status);
    if (same_texts(d->alarm_names, d->alarm_count, c->alarm_names, c->alarm_count))
        ehi_pack_nil(p);
    else
        put_texts(p, d->alarm_names, d->alarm_count);
    put_texts(p, d->triggered_alarms, d->triggered_count);
}

int ehi_deployment_encode(const struct ehi_deployment *d, struct ehi_buffer *out)
{
    struct ehi_packer packer;
    struct revision_arns beside = revisions_beside(d->arn);
    ehi_packer_begin(&packer, out);
    ehi_pack_array(&packer, DEPLOYMENT_VALUES);
    put_head(&packer, d);
    put_summaries(&packer, &beside, &d->target, 1);
    put_summaries(&packer, &beside, d->sources, d->source_count);
    put_configuration(&packer, &d->configuration);
    put_monitors(&packer, &beside, d);
    put_hooks(&packer, d->hooks, d->hook_count);
    put_document(&packer, d->extra);
    return ehi_packer_end(&packer);
}

int ehi_revision_encode(const struct ehi_revision *r, struct ehi_buffer *out)
{
    struct ehi_packer packer;
    ehi_packer_begin(&packer, out);
    ehi_pack_array(&packer, REVISION_VALUES);
    put_arn(&packer, EHI_ARN_REVISION, r->arn);
    ehi_pack_int(&packer, (int64_t)r->document_seq);
    ehi_pack_int(&packer, (int64_t)r->first_seq);
    ehi_pack_bool(&packer, r->observed);
    put_time(&packer, r->created_at_us);
    return ehi_packer_end(&packer);
}

int ehi_service_encode(const struct ehi_service *s, struct ehi_buffer *out)
{
    struct ehi_packer packer;
    ehi_packer_begin(&packer, out);
    ehi_pack_array(&packer, SERVICE_VALUES);
    ehi_pack_text(&packer, s->arn);
    ehi_pack_int(&packer, (int64_t)s->first_seq);
    ehi_pack_bool(&packer, s->restated);
    ehi_pack_bool(&packer, s->inactive);
    put_optional(&packer, s->current_revision_arn);
    put_time(&packer, s->current_finished_at_us);
    ehi_pack_int(&packer, (int64_t)s->current_created_seq);
    put_optional(&packer, s->stated_revision_arn);
    put_time(&packer, s->stated_finished_at_us);
    ehi_pack_int(&packer, (int64_t)s->stated_created_seq);
    ehi_pack_array(&packer, STATUS_COUNTS);
    for (unsigned i = 0; i < STATUS_COUNTS; i++)
        ehi_pack_int(&packer, (int64_t)s->by_status[i]);
    return ehi_packer_end(&packer);
}

/*
 * Reading. The cursor fails for good, so values are read one after the other, and looked at in the
 * end: what a failed cursor reads is not set, or 0. A value of a kind that cannot stand there fails
 * it too.
 */
struct state_reader {
    struct ehi_cursor cursor;
    struct ehi_arena *arena;
    struct revision_arns beside; /* a deployment's */
    bool no_memory;
};

static void fail(struct state_reader *r)
{
    r->cursor.failed = true;
    r->cursor.next = r->cursor.end;
}

/* false: nil, or failed. */
static bool get(struct state_reader *r, enum ehi_value_kind kind, bool optional,
                struct ehi_value *out)
{
    if (!ehi_cursor_read(&r->cursor, out))
        return false;
    if (out->kind == kind)
        return true;
    if (!optional || out->kind != EHI_VALUE_NULL)
        fail(r);
    return false;
}

/*
 * What stands in nearly every state is read here, without a call: small numbers, those of 32 and 64 bits (seqs, times),
 * texts of up to 255 bytes, nil. All else, and all that is not well-formed, is the cursor's.
 */
static inline size_t left(const struct state_reader *r)
{
    return (size_t)(r->cursor.end - r->cursor.next);
}

static inline bool take_nil(struct state_reader *r)
{
    if (left(r) == 0 || *r->cursor.next != 0xc0)
        return false;
    r->cursor.next++;
    return true;
}

static inline bool take_int(struct state_reader *r, int64_t *out)
{
    const uint8_t *p = r->cursor.next;
    if (left(r) != 0 && *p < 0x80) {
        *out = *p;
        r->cursor.next = p + 1;
        return true;
    }
    if (left(r) < 9 || (*p != 0xcf && *p != 0xce) || (*p == 0xcf && (p[1] & 0x80) != 0))
        return false;
    *out = *p == 0xce ? (int64_t)ehi_get_be32(p + 1) : (int64_t)ehi_get_be64(p + 1);
    r->cursor.next = p + (*p == 0xce ? 5 : 9);
    return true;
}

static inline bool take_text(struct state_reader *r, struct ehi_slice *out)
{
    const uint8_t *p = r->cursor.next;
    if (left(r) < 2 || *p < 0xa0 || (*p > 0xbf && *p != 0xd9))
        return false;
    unsigned head = *p == 0xd9 ? 2 : 1;
    struct ehi_slice text = ehi_slice(p + head, head == 2 ? p[1] : *p & 0x1fu);
    if (text.length > left(r) - head || !ehi_text_valid(text))
        return false;
    *out = text;
    r->cursor.next = text.data + text.length;
    return true;
}

static int64_t get_other_int(struct state_reader *r)
{
    struct ehi_value value;
    return get(r, EHI_VALUE_INT, false, &value) ? value.u.integer : 0;
}

static int64_t get_int(struct state_reader *r, int64_t least, int64_t most)
{
    int64_t integer;
    if (!take_int(r, &integer))
        integer = get_other_int(r);
    if (r->cursor.failed)
        return 0;
    if (integer >= least && integer <= most)
        return integer;
    fail(r);
    return 0;
}

static inline bool take_small(struct state_reader *r, uint8_t *out)
{
    if (left(r) == 0 || *r->cursor.next >= 0x80)
        return false;
    *out = *r->cursor.next++;
    return true;
}

static uint64_t get_seq(struct state_reader *r)
{
    return (uint64_t)get_int(r, 0, INT64_MAX);
}

static int64_t get_count(struct state_reader *r)
{
    uint8_t small;
    return take_small(r, &small) ? small : get_int(r, 0, INT64_MAX);
}

static uint8_t get_byte(struct state_reader *r)
{
    uint8_t small;
    return take_small(r, &small) ? small : (uint8_t)get_int(r, 0, UINT8_MAX);
}

static bool get_bool(struct state_reader *r)
{
    struct ehi_value value;
    return get(r, EHI_VALUE_BOOL, false, &value) && value.u.boolean;
}

static int64_t get_time(struct state_reader *r)
{
    struct ehi_value value;
    int64_t time_us;
    if (take_int(r, &time_us))
        return time_us;
    if (take_nil(r))
        return EHI_TIME_NONE;
    return get(r, EHI_VALUE_INT, true, &value) ? value.u.integer : EHI_TIME_NONE;
}

static int64_t get_time_from(struct state_reader *r, int64_t from_us)
{
    struct ehi_value value;
    int64_t after_us;
    if (take_nil(r))
        return EHI_TIME_NONE;
    if (take_int(r, &after_us))
        return (int64_t)((uint64_t)after_us + (uint64_t)from_us);
    if (!get(r, EHI_VALUE_INT, true, &value))
        return EHI_TIME_NONE;
    return (int64_t)((uint64_t)value.u.integer + (uint64_t)from_us);
}

static double get_weight(struct state_reader *r, bool *has)
{
    struct ehi_value value;
    *has = !take_nil(r) && get(r, EHI_VALUE_DOUBLE, true, &value);
    return *has ? value.u.real : 0;
}

static struct ehi_slice get_text(struct state_reader *r)
{
    struct ehi_value value;
    struct ehi_slice text;
    if (take_text(r, &text))
        return text;
    return get(r, EHI_VALUE_STRING, false, &value) ? value.u.string : EHI_SLICE_EMPTY;
}

static struct ehi_slice get_optional(struct state_reader *r)
{
    struct ehi_value value;
    struct ehi_slice text;
    if (take_nil(r))
        return EHI_SLICE_EMPTY;
    if (take_text(r, &text))
        return text;
    return get(r, EHI_VALUE_STRING, true, &value) ? value.u.string : EHI_SLICE_EMPTY;
}

static uint8_t *add_part(uint8_t *to, struct ehi_slice part)
{
    memcpy(to, part.data, part.length);
    return to + part.length;
}

/* An ARN's bytes, its parts where they lie. */
struct packed_arn {
    struct ehi_short region, cluster, service, id;
    uint64_t account;
};

static bool take_name(struct ehi_slice *rest, struct ehi_short *out)
{
    return ehi_short_take(rest, out) && out->coding != 0;
}

static bool take_account(struct ehi_slice *rest, uint64_t *out)
{
    if (rest->length < ACCOUNT_BYTES)
        return false;
    *out = ehi_get_le32(rest->data) | (uint64_t)rest->data[4] << 32;
    *rest = ehi_slice(rest->data + ACCOUNT_BYTES, rest->length - ACCOUNT_BYTES);
    return *out < UINT64_C(1000000000000);
}

static bool take_packed_arn(struct state_reader *r, struct packed_arn *out)
{
    const uint8_t *p = r->cursor.next;
    if (left(r) < 2 || *p != BIN_8 || p[1] > left(r) - 2)
        return false;
    struct ehi_slice rest = ehi_slice(p + 2, p[1]);
    if (!take_name(&rest, &out->region) || !take_account(&rest, &out->account) ||
        !take_name(&rest, &out->cluster) || !take_name(&rest, &out->service) ||
        !take_name(&rest, &out->id) || rest.length != 0)
        return false;
    r->cursor.next = rest.data;
    return true;
}

static const struct ehi_slice partition = EHI_SLICE_LITERAL("arn:aws:ecs:");

/* The ARN's text, and where it has what those of the service's revisions have, too. */
static struct ehi_slice make_arn(struct state_reader *r, struct ehi_slice type,
                                 const struct packed_arn *arn)
{
    size_t length = partition.length + arn->region.length + 1 + ACCOUNT_DIGITS + 1 + type.length +
                    arn->cluster.length + 1 + arn->service.length + 1 + arn->id.length;
    /* Behind it a NUL has room: readers end texts where they lie. */
    uint8_t *whole = ehi_arena_alloc(r->arena, length + 1 + EHI_SHORT_OVER), *to = whole;
    if (whole == NULL) {
        r->no_memory = true;
        fail(r);
        return EHI_SLICE_EMPTY;
    }
    to = ehi_short_get(add_part(to, partition), &arn->region);
    *to++ = ':';
    ehi_digits(to, arn->account, ACCOUNT_DIGITS);
    to += ACCOUNT_DIGITS;
    *to++ = ':';
    r->beside.front = ehi_slice(whole, (size_t)(to - whole));
    uint8_t *path = to = add_part(to, type);
    to = ehi_short_get(to, &arn->cluster);
    *to++ = '/';
    to = ehi_short_get(to, &arn->service);
    *to++ = '/';
    r->beside.path = ehi_slice(path, (size_t)(to - path));
    *ehi_short_get(to, &arn->id) = 0;
    return ehi_slice(whole, length);
}

/* The ARN of whose state it is. */
static struct ehi_slice get_arn(struct state_reader *r, struct ehi_slice type)
{
    struct packed_arn packed;
    if (take_packed_arn(r, &packed))
        return make_arn(r, type, &packed);
    struct ehi_slice text = get_text(r);
    r->beside = revisions_beside(text);
    return text;
}

/* Of a revision of the service, by its id. */
static struct ehi_slice whole_arn(struct state_reader *r, struct ehi_slice id)
{
    size_t length =
        r->beside.front.length + revision_kind.length + r->beside.path.length + id.length;
    /* Behind it a NUL has room: readers end texts where they lie. */
    uint8_t *whole = ehi_arena_alloc(r->arena, length + 1);
    if (r->beside.front.length == 0 || whole == NULL) {
        r->no_memory = r->no_memory || whole == NULL;
        fail(r);
        return EHI_SLICE_EMPTY;
    }
    uint8_t *end = add_part(add_part(whole, r->beside.front), revision_kind);
    end = add_part(end, r->beside.path);
    if (id.length != 0)
        end = add_part(end, id);
    *end = 0;
    return ehi_slice(whole, length);
}

/* A number is an id, and so is what stands behind a colon. */
static struct ehi_slice get_revision(struct state_reader *r,
                                     struct ehi_slice (*get_other)(struct state_reader *r))
{
    uint8_t digits[MOST_DIGITS], mark = left(r) == 0 ? 0xc0 : *r->cursor.next;
    if (mark < 0x80 || (mark >= 0xcc && mark <= 0xcf)) {
        uint64_t number = (uint64_t)get_int(r, 0, INT64_MAX);
        size_t length = ehi_digit_count(number);
        ehi_digits(digits, number, length);
        return whole_arn(r, ehi_slice(digits, length));
    }
    struct ehi_slice text = get_other(r);
    if (text.length == 0 || text.data[0] != ':')
        return text;
    return whole_arn(r, ehi_slice(text.data + 1, text.length - 1));
}

/* A map, borrowed as it is. */
static struct ehi_slice get_document(struct state_reader *r)
{
    struct ehi_slice document;
    if (take_nil(r))
        return EHI_SLICE_EMPTY;
    uint8_t mark = left(r) == 0 ? 0 : *r->cursor.next;
    if ((mark & 0xf0) != 0x80 && mark != 0xde && mark != 0xdf) {
        fail(r);
        return EHI_SLICE_EMPTY;
    }
    return ehi_cursor_take(&r->cursor, &document) ? document : EHI_SLICE_EMPTY;
}

/* The head of an array of up to 15 values. */
static inline bool take_few(struct state_reader *r, uint32_t *count)
{
    if (left(r) == 0 || (*r->cursor.next & 0xf0) != 0x90 || r->cursor.nesting_left == 0)
        return false;
    *count = *r->cursor.next & 0x0fu;
    if (*count >= left(r))
        return false;
    r->cursor.next++;
    r->cursor.nesting_left--; /* ehi_cursor_close adds it again */
    return true;
}

/* How many items of `values` values each follow. */
static uint32_t open_list(struct state_reader *r, uint32_t values)
{
    struct ehi_value list;
    uint32_t few;
    if (take_few(r, &few)) {
        if (few % values != 0)
            fail(r);
        return r->cursor.failed ? 0 : few / values;
    }
    if (!get(r, EHI_VALUE_ARRAY, false, &list))
        return 0;
    if (list.count % values != 0)
        fail(r);
    return r->cursor.failed ? 0 : list.count / values;
}

/* NULL for no items, and where memory is out. */
static void *make_list(struct state_reader *r, uint32_t *count, size_t size)
{
    if (*count == 0)
        return NULL;
    void *list = ehi_arena_array(r->arena, *count, size);
    if (list == NULL) {
        r->no_memory = true;
        *count = 0;
        fail(r);
    }
    return list;
}

static const struct ehi_slice *get_items(struct state_reader *r, uint32_t count,
                                         uint32_t *out_count)
{
    struct ehi_slice *texts = make_list(r, &count, sizeof(*texts));
    for (uint32_t i = 0; i < count; i++)
        texts[i] = get_text(r);
    ehi_cursor_close(&r->cursor);
    *out_count = count;
    return texts;
}

static const struct ehi_slice *get_texts(struct state_reader *r, uint32_t *out_count)
{
    return get_items(r, open_list(r, 1), out_count);
}

static struct ehi_revision_summary get_summary(struct state_reader *r)
{
    struct ehi_revision_summary s;
    s.arn = get_revision(r, get_text);
    s.requested = get_count(r);
    s.running = get_count(r);
    s.pending = get_count(r);
    s.test_weight = get_weight(r, &s.has_test_weight);
    s.production_weight = get_weight(r, &s.has_production_weight);
    return s;
}

static void get_target(struct state_reader *r, struct ehi_deployment *d)
{
    if (open_list(r, SUMMARY_VALUES) != 1)
        fail(r);
    d->target = get_summary(r);
    ehi_cursor_close(&r->cursor);
}

static void get_sources(struct state_reader *r, struct ehi_deployment *d)
{
    uint32_t count = open_list(r, SUMMARY_VALUES);
    d->sources = make_list(r, &count, sizeof(*d->sources));
    d->source_count = count;
    for (uint32_t i = 0; i < count; i++)
        d->sources[i] = get_summary(r);
    ehi_cursor_close(&r->cursor);
}

static void get_hook(struct state_reader *r, struct ehi_hook *out)
{
    out->id = get_text(r);
    out->target_arn = get_optional(r);
    out->target_type = get_byte(r);
    out->status = get_byte(r);
    out->timeout_action = get_byte(r);
    out->expires_at_us = get_time(r);
    out->extra = get_document(r);
}

static void get_hooks(struct state_reader *r, struct ehi_deployment *d)
{
    uint32_t count = open_list(r, HOOK_VALUES);
    d->hooks = make_list(r, &count, sizeof(*d->hooks));
    d->hook_count = count;
    for (uint32_t i = 0; i < count; i++)
        get_hook(r, &d->hooks[i]);
    ehi_cursor_close(&r->cursor);
}

static void get_head(struct state_reader *r, struct ehi_deployment *d)
{
    d->arn = get_arn(r, deployment_kind);
    d->created_seq = get_seq(r);
    d->last_seq = get_seq(r);
    d->last_observed_seq = get_seq(r);
    unsigned flags = get_byte(r);
    d->configuration.breaker_enabled = (flags & BREAKER_ENABLED) != 0;
    d->configuration.reset_on_healthy = (flags & RESET_ON_HEALTHY) != 0;
    d->configuration.alarms_enabled = (flags & ALARMS_ENABLED) != 0;
    d->has_rollback = (flags & HAS_ROLLBACK) != 0;
    d->has_desired = (flags & HAS_DESIRED) != 0;
    d->status = get_byte(r);
    d->stage = get_byte(r);
    d->created_at_us = get_time(r);
    d->started_at_us = get_time_from(r, d->created_at_us);
    d->finished_at_us = get_time_from(r, d->created_at_us);
    d->stopped_at_us = get_time_from(r, d->created_at_us);
    d->updated_at_us = get_time_from(r, d->created_at_us);
    d->status_reason = get_optional(r);
}

static void get_configuration(struct state_reader *r, struct ehi_configuration *c)
{
    c->document = get_document(r);
    c->threshold_type = get_byte(r);
    c->threshold_value = get_count(r);
    c->alarm_names = get_texts(r, &c->alarm_count);
}

static void get_shown_alarms(struct state_reader *r, struct ehi_deployment *d)
{
    struct ehi_value list;
    if (!take_nil(r) && get(r, EHI_VALUE_ARRAY, true, &list)) {
        d->alarm_names = get_items(r, list.count, &d->alarm_count);
    } else {
        d->alarm_names = d->configuration.alarm_names;
        d->alarm_count = d->configuration.alarm_count;
    }
}

static void get_monitors(struct state_reader *r, struct ehi_deployment *d)
{
    d->rollback_reason = get_optional(r);
    d->rollback_revision_arn = get_revision(r, get_optional);
    d->rollback_started_at_us = get_time_from(r, d->created_at_us);
    d->breaker_status = get_byte(r);
    d->failure_count = get_count(r);
    d->threshold = get_count(r);
    d->known_count = get_count(r);
    d->alarm_status = get_byte(r);
    get_shown_alarms(r, d);
    d->triggered_alarms = get_texts(r, &d->triggered_count);
}

static struct state_reader begin(struct ehi_slice bytes, struct ehi_arena *arena, uint32_t values)
{
    struct state_reader r = {.cursor = ehi_cursor_of(bytes, STATE_NESTING), .arena = arena};
    struct ehi_value state;
    if (!get(&r, EHI_VALUE_ARRAY, false, &state) || state.count != values)
        fail(&r);
    return r;
}

static int finish(const struct state_reader *r, const char *what, struct ecshist_error *error)
{
    if (r->no_memory)
        return ehi_fail_memory(error);
    if (!ehi_cursor_done(&r->cursor))
        return ehi_fail(error, ECSHIST_INDEX, "the index holds what is not the state of a %s",
                        what);
    return ECSHIST_OK;
}

int ehi_deployment_decode(struct ehi_slice bytes, struct ehi_arena *arena,
                          struct ehi_deployment *out, struct ecshist_error *error)
{
    struct state_reader r = begin(bytes, arena, DEPLOYMENT_VALUES);
    struct ehi_deployment d;
    get_head(&r, &d);
    get_target(&r, &d);
    get_sources(&r, &d);
    get_configuration(&r, &d.configuration);
    get_monitors(&r, &d);
    get_hooks(&r, &d);
    d.extra = get_document(&r);
    int rc = finish(&r, "deployment", error);
    if (rc == ECSHIST_OK)
        *out = d;
    return rc;
}

int ehi_revision_decode(struct ehi_slice bytes, struct ehi_arena *arena, struct ehi_revision *out,
                        struct ecshist_error *error)
{
    struct state_reader r = begin(bytes, arena, REVISION_VALUES);
    struct ehi_revision revision = {.document = EHI_SLICE_EMPTY};
    revision.arn = get_arn(&r, revision_kind);
    revision.document_seq = get_seq(&r);
    revision.first_seq = get_seq(&r);
    revision.observed = get_bool(&r);
    revision.created_at_us = get_time(&r);
    int rc = finish(&r, "revision", error);
    if (rc == ECSHIST_OK)
        *out = revision;
    return rc;
}

int ehi_service_decode(struct ehi_slice bytes, struct ehi_service *out, struct ecshist_error *error)
{
    struct state_reader r = begin(bytes, NULL, SERVICE_VALUES);
    struct ehi_service service;
    service.arn = get_text(&r);
    service.first_seq = get_seq(&r);
    service.restated = get_bool(&r);
    service.inactive = get_bool(&r);
    service.current_revision_arn = get_optional(&r);
    service.current_finished_at_us = get_time(&r);
    service.current_created_seq = get_seq(&r);
    service.stated_revision_arn = get_optional(&r);
    service.stated_finished_at_us = get_time(&r);
    service.stated_created_seq = get_seq(&r);
    if (open_list(&r, 1) != STATUS_COUNTS)
        fail(&r);
    for (unsigned i = 0; i < STATUS_COUNTS; i++)
        service.by_status[i] = get_seq(&r);
    int rc = finish(&r, "service", error);
    if (rc == ECSHIST_OK)
        *out = service;
    return rc;
}

/* Comparing. */

static bool same_optional(struct ehi_slice a, struct ehi_slice b)
{
    return (a.data == NULL) == (b.data == NULL) && ehi_slice_equal(a, b);
}

static bool same_summary(const struct ehi_revision_summary *a, const struct ehi_revision_summary *b)
{
    return ehi_slice_equal(a->arn, b->arn) && a->requested == b->requested &&
           a->running == b->running && a->pending == b->pending &&
           a->has_test_weight == b->has_test_weight &&
           a->has_production_weight == b->has_production_weight &&
           (!a->has_test_weight || a->test_weight == b->test_weight) &&
           (!a->has_production_weight || a->production_weight == b->production_weight);
}

static bool same_sources(const struct ehi_deployment *a, const struct ehi_deployment *b)
{
    if (a->source_count != b->source_count)
        return false;
    for (uint32_t i = 0; i < a->source_count; i++) {
        if (!same_summary(&a->sources[i], &b->sources[i]))
            return false;
    }
    return true;
}

static bool same_hook(const struct ehi_hook *a, const struct ehi_hook *b)
{
    return ehi_slice_equal(a->id, b->id) && same_optional(a->target_arn, b->target_arn) &&
           a->target_type == b->target_type && a->status == b->status &&
           a->timeout_action == b->timeout_action && a->expires_at_us == b->expires_at_us &&
           ehi_slice_equal(a->extra, b->extra);
}

static bool same_hooks(const struct ehi_deployment *a, const struct ehi_deployment *b)
{
    if (a->hook_count != b->hook_count)
        return false;
    for (uint32_t i = 0; i < a->hook_count; i++) {
        if (!same_hook(&a->hooks[i], &b->hooks[i]))
            return false;
    }
    return true;
}

static bool same_times(const struct ehi_deployment *a, const struct ehi_deployment *b)
{
    return a->created_at_us == b->created_at_us && a->started_at_us == b->started_at_us &&
           a->finished_at_us == b->finished_at_us && a->stopped_at_us == b->stopped_at_us &&
           a->updated_at_us == b->updated_at_us;
}

static bool same_rollback(const struct ehi_deployment *a, const struct ehi_deployment *b)
{
    if (a->has_rollback != b->has_rollback)
        return false;
    return !a->has_rollback || (same_optional(a->rollback_reason, b->rollback_reason) &&
                                same_optional(a->rollback_revision_arn, b->rollback_revision_arn) &&
                                a->rollback_started_at_us == b->rollback_started_at_us);
}

static bool same_monitors(const struct ehi_deployment *a, const struct ehi_deployment *b)
{
    return a->breaker_status == b->breaker_status && a->failure_count == b->failure_count &&
           a->threshold == b->threshold && a->alarm_status == b->alarm_status &&
           same_texts(a->alarm_names, a->alarm_count, b->alarm_names, b->alarm_count) &&
           same_texts(a->triggered_alarms, a->triggered_count, b->triggered_alarms,
                      b->triggered_count);
}

bool ehi_deployment_same_view(const struct ehi_deployment *a, const struct ehi_deployment *b)
{
    return ehi_slice_equal(a->arn, b->arn) && a->status == b->status && a->stage == b->stage &&
           same_times(a, b) && same_optional(a->status_reason, b->status_reason) &&
           same_summary(&a->target, &b->target) && same_sources(a, b) &&
           same_optional(a->configuration.document, b->configuration.document) &&
           same_rollback(a, b) && same_monitors(a, b) && same_hooks(a, b) &&
           ehi_slice_equal(a->extra, b->extra);
}
