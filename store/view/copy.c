#include "view/copy.h"

#include "codec/state.h"

/* A copy that failed is remembered, and asked for once at the end. */
struct copier {
    struct ehi_arena *arena;
    bool failed;
};

static void own_text(struct copier *c, struct ehi_slice *text)
{
    if (text->data == NULL)
        return;
    *text = ehi_arena_copy(c->arena, *text);
    c->failed = c->failed || text->data == NULL;
}

/* A copy of `count` items, their texts not copied yet. */
static void *own_list(struct copier *c, const void *list, uint32_t *count, size_t size)
{
    void *copy = ehi_arena_array(c->arena, *count, size);
    if (copy == NULL) {
        c->failed = true;
        *count = 0;
    } else if (*count != 0) {
        memcpy(copy, list, *count * size);
    }
    return copy;
}

static const struct ehi_slice *own_texts(struct copier *c, const struct ehi_slice *list,
                                         uint32_t *count)
{
    struct ehi_slice *copy = own_list(c, list, count, sizeof(*copy));
    for (uint32_t i = 0; i < *count; i++)
        own_text(c, &copy[i]);
    return copy;
}

static void own_configuration(struct copier *c, struct ehi_configuration *configuration)
{
    own_text(c, &configuration->document);
    configuration->alarm_names =
        own_texts(c, configuration->alarm_names, &configuration->alarm_count);
}

static void own_summaries(struct copier *c, struct ehi_deployment *state)
{
    own_text(c, &state->target.arn);
    state->sources = own_list(c, state->sources, &state->source_count, sizeof(*state->sources));
    for (uint32_t i = 0; i < state->source_count; i++)
        own_text(c, &state->sources[i].arn);
}

static void own_hooks(struct copier *c, struct ehi_deployment *state)
{
    state->hooks = own_list(c, state->hooks, &state->hook_count, sizeof(*state->hooks));
    for (uint32_t i = 0; i < state->hook_count; i++) {
        own_text(c, &state->hooks[i].id);
        own_text(c, &state->hooks[i].target_arn);
        own_text(c, &state->hooks[i].extra);
    }
}

int view_own_deployment(struct ehi_deployment *state, struct ehi_arena *arena,
                        struct ecshist_error *error)
{
    struct copier c = {arena, false};
    own_text(&c, &state->arn);
    own_text(&c, &state->status_reason);
    own_summaries(&c, state);
    own_configuration(&c, &state->configuration);
    own_text(&c, &state->rollback_reason);
    own_text(&c, &state->rollback_revision_arn);
    state->alarm_names = own_texts(&c, state->alarm_names, &state->alarm_count);
    state->triggered_alarms = own_texts(&c, state->triggered_alarms, &state->triggered_count);
    own_hooks(&c, state);
    own_text(&c, &state->extra);
    return c.failed ? ehi_fail_memory(error) : ECSHIST_OK;
}

/* The byte behind a text: the head of the value that follows it, which was read, or the one behind all. */
static void end_text(struct ehi_slice text)
{
    if (text.data != NULL)
        *((uint8_t *)(uintptr_t)text.data + text.length) = 0;
}

static void end_texts(const struct ehi_slice *texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        end_text(texts[i]);
}

/*
 * No document stands behind a text, so none loses its head: what stands before one is the end of a list, or a number, or
 * nil (see codec/state.c).
 */
static void end_all_texts(const struct ehi_deployment *d)
{
    end_text(d->arn);
    end_text(d->status_reason);
    end_text(d->target.arn);
    for (uint32_t i = 0; i < d->source_count; i++)
        end_text(d->sources[i].arn);
    end_texts(d->configuration.alarm_names, d->configuration.alarm_count);
    end_text(d->rollback_reason);
    end_text(d->rollback_revision_arn);
    end_texts(d->alarm_names, d->alarm_count);
    end_texts(d->triggered_alarms, d->triggered_count);
    for (uint32_t i = 0; i < d->hook_count; i++) {
        end_text(d->hooks[i].id);
        end_text(d->hooks[i].target_arn);
    }
}

int view_take_deployment(struct ehi_slice bytes, struct ehi_arena *arena,
                         struct ehi_deployment *out, struct ecshist_error *error)
{
    struct ehi_slice copy = ehi_arena_copy(arena, bytes);
    if (copy.data == NULL)
        return ehi_fail_memory(error);
    int rc = ehi_deployment_decode(copy, arena, out, error);
    if (rc == ECSHIST_OK)
        end_all_texts(out);
    return rc;
}

int view_own_owner(const struct ehi_arn *arn, struct ehi_arena *arena, struct ehi_owner *out,
                   struct ecshist_error *error)
{
    char buffer[EHI_ARN_BUFFER];
    out->service = ehi_arena_copy(arena, ehi_arn_service(arn, buffer));
    out->cluster = ehi_arena_copy(arena, ehi_arn_cluster(arn, buffer));
    return out->service.data == NULL || out->cluster.data == NULL ? ehi_fail_memory(error)
                                                                  : ECSHIST_OK;
}

int view_own_revision(struct ehi_revision *state, struct ehi_arena *arena,
                      struct ecshist_error *error)
{
    struct copier c = {arena, false};
    own_text(&c, &state->arn);
    own_text(&c, &state->document);
    return c.failed ? ehi_fail_memory(error) : ECSHIST_OK;
}

int view_own_service(struct ehi_service *state, struct ehi_arena *arena,
                     struct ecshist_error *error)
{
    struct copier c = {arena, false};
    own_text(&c, &state->arn);
    own_text(&c, &state->current_revision_arn);
    return c.failed ? ehi_fail_memory(error) : ECSHIST_OK;
}
