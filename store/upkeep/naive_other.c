/* Revisions (4.8), and lifecycle hooks (4.7). */
#include "upkeep/naive.h"

#include "codec/document.h"
#include "codec/record.h"

#include <ecshist/limits.h>

enum ehi_naive ehi_naive_revision(struct ehi_revision *r, const struct ehi_event *e,
                                  const char **why)
{
    bool exists = r->first_seq != 0;
    if (exists && e->type == EHI_REVISION_CREATED) {
        *why = "the revision exists already, and is immutable";
        return EHI_NAIVE_REFUSED;
    }
    if (exists && !r->observed) {
        *why = "the revision was recorded by revision-created: it is not observed over";
        return EHI_NAIVE_REFUSED;
    }
    if (exists && ehi_slice_equal(r->document, e->document))
        return EHI_NAIVE_NOTHING_NEW;
    r->arn = e->subject;
    r->first_seq = exists ? r->first_seq : e->seq;
    r->document_seq = e->seq;
    r->document = e->document;
    r->observed = e->type == EHI_REVISION_OBSERVED;
    r->created_at_us = r->observed ? e->document_created_at_us : e->time_us;
    return EHI_NAIVE_APPLIED;
}

/* Unknown members are members too: those named are set, the others stay. */
static int set_unknown(struct ehi_slice *stands, struct ehi_slice named, struct ehi_arena *arena,
                       bool *room, struct ecshist_error *error)
{
    struct ehi_value a, b, all = {.kind = EHI_VALUE_MAP};
    if (stands->length == 0 || named.length == 0) {
        *stands = named.length != 0 ? named : *stands;
        return ECSHIST_OK;
    }
    if (ehi_document_decode(*stands, arena, &a, error) != ECSHIST_OK ||
        ehi_document_decode(named, arena, &b, error) != ECSHIST_OK)
        return ehi_fail_memory(error);
    all.u.members = ehi_arena_array(arena, (size_t)a.count + b.count, sizeof(*all.u.members));
    if (all.u.members == NULL)
        return ehi_fail_memory(error);
    for (uint32_t i = 0; i < a.count; i++)
        all.u.members[all.count++] = a.u.members[i];
    for (uint32_t i = 0; i < b.count; i++) {
        uint32_t at = 0;
        while (at < all.count && !ehi_slice_equal(all.u.members[at].name, b.u.members[i].name))
            at++;
        all.u.members[at] = b.u.members[i];
        all.count = at == all.count ? at + 1 : all.count;
    }
    struct ehi_buffer buffer = {0};
    int rc = ehi_document_encode(&all, &buffer, error);
    *room = rc == ECSHIST_OK && buffer.length <= ECSHIST_MAX_EVENT_BYTES;
    if (*room)
        *stands = ehi_arena_copy(arena, ehi_buffer_slice(&buffer));
    ehi_buffer_free(&buffer);
    return stands->data == NULL || rc == ECSHIST_NO_MEMORY ? ehi_fail_memory(error) : ECSHIST_OK;
}

int naive_put_hook(struct ehi_deployment *d, const struct ehi_hook *named, struct ehi_arena *arena,
                   bool *room, struct ecshist_error *error)
{
    struct ehi_hook *hooks = ehi_arena_array(arena, (size_t)d->hook_count + 1, sizeof(*hooks));
    uint32_t at = 0, count = d->hook_count;
    if (hooks == NULL)
        return ehi_fail_memory(error);
    for (uint32_t i = 0; i < count; i++)
        hooks[i] = d->hooks[i];
    while (at < count && !ehi_slice_equal(hooks[at].id, named->id))
        at++;
    *room = at < ECSHIST_MAX_HOOKS;
    if (!*room)
        return ECSHIST_OK;
    if (at == count) {
        hooks[at] = (struct ehi_hook){.id = named->id, .expires_at_us = EHI_TIME_NONE};
        count++;
    }
    struct ehi_hook *hook = &hooks[at];
    if (named->target_arn.data != NULL)
        hook->target_arn = named->target_arn;
    if (named->target_type != 0)
        hook->target_type = named->target_type;
    if (named->status != 0)
        hook->status = named->status;
    if (named->timeout_action != 0)
        hook->timeout_action = named->timeout_action;
    if (named->expires_at_us != EHI_TIME_NONE)
        hook->expires_at_us = named->expires_at_us;
    int rc = set_unknown(&hook->extra, named->extra, arena, room, error);
    if (rc != ECSHIST_OK || !*room)
        return rc;
    d->hooks = hooks;
    d->hook_count = count;
    return ECSHIST_OK;
}
