#include "fold/reduce_observed.h"

#include "codec/document.h"
#include "codec/state.h"

/* -- configurations as they are shown ---------------------------------------------------------- */

/* Members of larger maps are the same in the same order only: the work stays bounded. */
enum { MOST_UNORDERED = 64 };

static bool same_value(const struct ehi_value *a, const struct ehi_value *b);

static bool same_items(const struct ehi_value *a, const struct ehi_value *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = same_value(&a->u.items[i], &b->u.items[i]);
    return same;
}

static const struct ehi_value *find_member(const struct ehi_value *map, struct ehi_slice name)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (ehi_slice_equal(map->u.members[i].name, name))
            return &map->u.members[i].value;
    }
    return NULL;
}

/* Names within one map differ: of as many members, one that has all of the other's has no more. */
static bool same_members(const struct ehi_value *a, const struct ehi_value *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++) {
        const struct ehi_member *member = &a->u.members[i];
        const struct ehi_value *other = NULL;
        if (ehi_slice_equal(b->u.members[i].name, member->name))
            other = &b->u.members[i].value;
        else if (a->count <= MOST_UNORDERED)
            other = find_member(b, member->name);
        same = other != NULL && same_value(&member->value, other);
    }
    return same;
}

static bool same_value(const struct ehi_value *a, const struct ehi_value *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case EHI_VALUE_BOOL:
        return a->u.boolean == b->u.boolean;
    case EHI_VALUE_INT:
    case EHI_VALUE_TIME:
        return a->u.integer == b->u.integer;
    case EHI_VALUE_DOUBLE:
        return a->u.real == b->u.real;
    case EHI_VALUE_STRING:
        return ehi_slice_equal(a->u.string, b->u.string);
    case EHI_VALUE_ARRAY:
        return same_items(a, b);
    case EHI_VALUE_MAP:
        return same_members(a, b);
    default:
        return true;
    }
}

/* What the view shows where the configuration says nothing (spec 4.11). */
static const struct ehi_member defaults[] = {
    {EHI_SLICE_LITERAL("maximumPercent"), {.kind = EHI_VALUE_INT, .u.integer = 200}},
    {EHI_SLICE_LITERAL("minimumHealthyPercent"), {.kind = EHI_VALUE_INT, .u.integer = 100}},
};
enum { DEFAULT_COUNT = sizeof(defaults) / sizeof(defaults[0]) };

static int shown_configuration(struct ehi_slice document, struct ehi_arena *arena,
                               struct ehi_value *out, struct ecshist_error *error)
{
    struct ehi_value given = {.kind = EHI_VALUE_MAP};
    int rc = ECSHIST_OK;
    if (document.data != NULL)
        rc = ehi_document_decode(document, arena, &given, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_member *members =
        ehi_arena_array(arena, (size_t)given.count + DEFAULT_COUNT, sizeof(*members));
    if (members == NULL)
        return ehi_fail_memory(error);
    if (given.count > 0)
        memcpy(members, given.u.members, given.count * sizeof(*members));
    *out = (struct ehi_value){.kind = EHI_VALUE_MAP, .count = given.count, .u.members = members};
    for (size_t i = 0; i < DEFAULT_COUNT; i++) {
        if (find_member(&given, defaults[i].name) == NULL)
            members[out->count++] = defaults[i];
    }
    return ECSHIST_OK;
}

static int same_configuration(struct ehi_slice a, struct ehi_slice b, struct ehi_arena *arena,
                              bool *same, struct ecshist_error *error)
{
    *same = a.data != NULL && b.data != NULL && ehi_slice_equal(a, b);
    if (*same)
        return ECSHIST_OK;
    struct ehi_value x, y;
    int rc = shown_configuration(a, arena, &x, error);
    if (rc == ECSHIST_OK)
        rc = shown_configuration(b, arena, &y, error);
    if (rc == ECSHIST_OK)
        *same = same_value(&x, &y);
    return rc;
}

/* -- observations ------------------------------------------------------------------------------ */

/* What an observation does not tell, because it is not part of a view, stays as it was. */
static void keep_bookkeeping(struct ehi_deployment *observed, const struct ehi_deployment *before,
                             const struct ehi_event *event)
{
    bool exists = before->created_seq != 0;
    observed->arn = event->subject;
    observed->created_seq = exists ? before->created_seq : event->seq;
    observed->last_observed_seq = event->seq;
    observed->has_desired = exists && before->has_desired;
    observed->known_count = exists ? before->known_count : 0;
    if (!observed->has_desired && observed->target.requested > 0)
        observed->known_count = observed->target.requested;
}

/* Whether the view would be the same. A configuration is the same where it is shown the same. */
static int is_same_view(struct ehi_deployment observed, const struct ehi_deployment *state,
                        struct ehi_arena *arena, bool *same, struct ecshist_error *error)
{
    struct ehi_slice configuration = observed.configuration.document;
    observed.configuration.document = state->configuration.document;
    /* One that does not say when it was last updated says nothing new by that. */
    if (observed.updated_at_us == EHI_TIME_NONE)
        observed.updated_at_us = state->updated_at_us;
    *same = ehi_deployment_same_view(&observed, state);
    if (!*same)
        return ECSHIST_OK;
    return same_configuration(configuration, state->configuration.document, arena, same, error);
}

int ehi_observe(struct ehi_deployment *state, const struct ehi_event *event,
                struct ehi_arena *arena, bool *duplicate, struct ecshist_error *error)
{
    struct ehi_deployment observed = *event->observed;
    keep_bookkeeping(&observed, state, event);
    *duplicate = false;
    int rc = ECSHIST_OK;
    if (state->created_seq != 0)
        rc = is_same_view(observed, state, arena, duplicate, error);
    if (rc != ECSHIST_OK || *duplicate)
        return rc;
    if (observed.updated_at_us == EHI_TIME_NONE)
        observed.updated_at_us = event->time_us;
    *state = observed;
    return ECSHIST_OK;
}
