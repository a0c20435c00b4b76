#include "item.h"

#include "util.h"

#include <stdlib.h>
#include <string.h>

/*
 * A body as MessagePack, as ecshist's own log has it: a map whose known names are small numbers.
 * Here each name's number is its place in this list.
 */
enum name {
    NAME_TARGET,
    NAME_SOURCES,
    NAME_CONFIGURATION,
    NAME_BREAKER,
    NAME_ENABLE,
    NAME_ROLLBACK,
    NAME_MAXIMUM,
    NAME_MINIMUM,
    NAME_REVISIONS,
    NAME_ARN,
    NAME_REQUESTED,
    NAME_RUNNING,
    NAME_PENDING,
    NAME_TASK,
    NAME_REASON,
    NAME_STOP_CODE,
    NAME_EXIT_CODE,
    NAME_CONTAINER,
    NAME_REVISION,
    NAME_TASK_DEFINITION,
    NAME_LAUNCH_TYPE,
    NAME_PLATFORM_VERSION,
    NAME_PLATFORM_FAMILY,
    NAME_NETWORK,
    NAME_VPC,
    NAME_SUBNETS,
    NAME_GROUPS,
    NAME_PUBLIC_IP,
    NAME_IMAGES,
    NAME_DIGEST,
    NAME_IMAGE,
    NAME_GUARD_DUTY
};

struct pack {
    uint8_t *at;
};

static void put_byte(struct pack *p, unsigned byte)
{
    *p->at++ = (uint8_t)byte;
}

static void put_map(struct pack *p, unsigned pairs)
{
    put_byte(p, 0x80 | pairs);
}

static void put_array(struct pack *p, unsigned items)
{
    put_byte(p, 0x90 | items);
}

static void put_name(struct pack *p, enum name name)
{
    put_byte(p, (unsigned)name);
}

static void put_number(struct pack *p, enum name name, unsigned number)
{
    put_name(p, name);
    if (number >= 128)
        put_byte(p, 0xcc);
    put_byte(p, number & 0xff);
}

static void put_bool(struct pack *p, enum name name, bool value)
{
    put_name(p, name);
    put_byte(p, value ? 0xc3 : 0xc2);
}

static void put_bytes(struct pack *p, const char *text)
{
    size_t length = strlen(text);
    if (length < 32) {
        put_byte(p, 0xa0 | (unsigned)length);
    } else {
        put_byte(p, 0xd9);
        put_byte(p, (unsigned)length);
    }
    memcpy(p->at, text, length);
    p->at += length;
}

static void put_text(struct pack *p, enum name name, const char *text)
{
    put_name(p, name);
    put_bytes(p, text);
}

static void put_printed(struct pack *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put_printed(struct pack *p, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    put_bytes(p, text);
}

static void pack_image(struct pack *p, const struct workload_event *e, unsigned i)
{
    const uint64_t *digest = e->digests[i];
    put_map(p, 3);
    put_name(p, NAME_CONTAINER);
    put_printed(p, "container-%u", i);
    put_name(p, NAME_DIGEST);
    put_printed(p, "sha256:%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64, digest[0],
                digest[1], digest[2], digest[3]);
    put_name(p, NAME_IMAGE);
    put_printed(p,
                WORKLOAD_ACCOUNT ".dkr.ecr." WORKLOAD_REGION
                                 ".amazonaws.com/service-%04u/container-%u:build-%" PRIu64,
                e->service, i, e->deployment);
}

static void pack_network(struct pack *p, const struct workload_event *e)
{
    put_name(p, NAME_NETWORK);
    put_map(p, 1);
    put_name(p, NAME_VPC);
    put_map(p, 3);
    put_name(p, NAME_SUBNETS);
    put_array(p, 2);
    put_printed(p, "subnet-%017" PRIx64, e->network[0]);
    put_printed(p, "subnet-%017" PRIx64, e->network[1]);
    put_name(p, NAME_GROUPS);
    put_array(p, 1);
    put_printed(p, "sg-%017" PRIx64, e->network[2]);
    put_text(p, NAME_PUBLIC_IP, "DISABLED");
}

static void pack_revision(struct pack *p, const struct workload_event *e)
{
    put_map(p, 1);
    put_name(p, NAME_REVISION);
    put_map(p, 7);
    put_name(p, NAME_TASK_DEFINITION);
    put_printed(p, WORKLOAD_ARN "task-definition/service-%04u:%" PRIu64, e->service, e->deployment);
    put_text(p, NAME_LAUNCH_TYPE, "FARGATE");
    put_text(p, NAME_PLATFORM_VERSION, "1.4.0");
    put_text(p, NAME_PLATFORM_FAMILY, "Linux");
    pack_network(p, e);
    put_name(p, NAME_IMAGES);
    put_array(p, e->containers);
    for (unsigned i = 0; i < e->containers; i++)
        pack_image(p, e, i);
    put_bool(p, NAME_GUARD_DUTY, false);
}

static void pack_created(struct pack *p, const struct item *item)
{
    put_map(p, 3);
    put_text(p, NAME_TARGET, item->target);
    put_name(p, NAME_SOURCES);
    put_array(p, item->source != NULL);
    if (item->source != NULL)
        put_bytes(p, item->source);
    put_name(p, NAME_CONFIGURATION);
    put_map(p, 3);
    put_name(p, NAME_BREAKER);
    put_map(p, 2);
    put_bool(p, NAME_ENABLE, true);
    put_bool(p, NAME_ROLLBACK, true);
    put_number(p, NAME_MAXIMUM, 200);
    put_number(p, NAME_MINIMUM, 100);
}

static void pack_tasks(struct pack *p, const struct item *item)
{
    put_map(p, 1);
    put_name(p, NAME_REVISIONS);
    put_array(p, 1);
    put_map(p, 4);
    put_text(p, NAME_ARN, item->target);
    put_number(p, NAME_REQUESTED, WORKLOAD_TASKS);
    put_number(p, NAME_RUNNING, item->running);
    put_number(p, NAME_PENDING, WORKLOAD_TASKS - item->running);
}

static void pack_failure(struct pack *p, const struct workload_event *e)
{
    put_map(p, 5);
    put_name(p, NAME_TASK);
    put_printed(p, WORKLOAD_ARN "task/" WORKLOAD_CLUSTER "/%016" PRIx64 "%016" PRIx64, e->task[0],
                e->task[1]);
    put_text(p, NAME_REASON, "Essential container in task exited");
    put_text(p, NAME_STOP_CODE, "EssentialContainerExited");
    put_number(p, NAME_EXIT_CODE, e->exit_code);
    put_text(p, NAME_CONTAINER, "container-0");
}

static size_t pack_body(const struct workload_event *e, const struct item *item, uint8_t *out)
{
    struct pack p = {out};
    if (e->type == WORKLOAD_REVISION_CREATED)
        pack_revision(&p, e);
    else if (e->type == WORKLOAD_DEPLOYMENT_CREATED)
        pack_created(&p, item);
    else if (e->type == WORKLOAD_TASKS_UPDATED)
        pack_tasks(&p, item);
    else if (e->type == WORKLOAD_TASK_FAILED)
        pack_failure(&p, e);
    else
        put_map(&p, 0);
    return (size_t)(p.at - out);
}

/* Texts of one item are put together here, then copied at their size. */
struct scratch {
    char subject[WORKLOAD_ARN_BYTES], id[WORKLOAD_ARN_BYTES];
    char target[WORKLOAD_ARN_BYTES], source[WORKLOAD_ARN_BYTES];
    uint8_t body[WORKLOAD_JSON_BYTES];
};

static const char *keep(char **at, const void *bytes, size_t length)
{
    char *kept = *at;
    memcpy(kept, bytes, length);
    *at += length;
    return kept;
}

static void prepare_peer(struct item *item, const struct workload_event *e)
{
    struct scratch s;
    if (e->type == WORKLOAD_REVISION_CREATED)
        item->subject_length = workload_revision_arn(e->service, e->revision, s.subject);
    else
        item->subject_length = workload_deployment_arn(e->service, e->deployment, s.subject);
    item->id_length = workload_id(e, s.id);
    size_t target = workload_revision_arn(e->service, e->revision, s.target) + 1;
    size_t source = workload_revision_arn(e->service, e->source, s.source) + 1;
    item->target = s.target;
    item->source = e->source != 0 ? s.source : NULL;
    item->body_length = pack_body(e, item, s.body);
    item->memory = must(
        malloc(item->subject_length + item->id_length + 2 + target + source + item->body_length));
    char *at = item->memory;
    item->subject = keep(&at, s.subject, item->subject_length + 1);
    item->id = keep(&at, s.id, item->id_length + 1);
    item->target = keep(&at, s.target, target);
    if (item->source != NULL)
        item->source = keep(&at, s.source, source);
    item->body = (const uint8_t *)keep(&at, s.body, item->body_length);
}

static void prepare_event(struct item *item, const struct workload_event *e)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    char json[WORKLOAD_JSON_BYTES];
    size_t length = workload_json(e, true, json);
    if (ecshist_event_from_json(json, length, &item->event, &error) != ECSHIST_OK)
        fail("an event: %s", error.message);
}

static void remember(struct history *h, const struct item *item)
{
    if (h->known_count == h->known_room) {
        h->known_room = h->known_room == 0 ? 4096 : h->known_room * 2;
        h->known = must(realloc(h->known, h->known_room * sizeof(*h->known)));
    }
    h->known[h->known_count++] = (struct known){item->service, item->deployment};
}

void history_begin(struct history *h, uint64_t seed)
{
    *h = (struct history){0};
    h->workload = must(workload_new(1000, 200, seed, 60000));
}

void history_end(struct history *h)
{
    workload_free(h->workload);
    free(h->known);
    *h = (struct history){0};
}

struct item *history_slice(struct history *h, size_t count, bool with_event, bool with_peer)
{
    struct item *items = must(calloc(count, sizeof(*items)));
    struct workload_event e;
    for (size_t i = 0; i < count; i++) {
        workload_next(h->workload, &e);
        items[i].type = e.type;
        items[i].time_us = (int64_t)e.time_us;
        items[i].service = e.service;
        items[i].deployment = e.deployment;
        items[i].running = e.running;
        if (with_event)
            prepare_event(&items[i], &e);
        if (with_peer)
            prepare_peer(&items[i], &e);
        if (e.type == WORKLOAD_DEPLOYMENT_CREATED)
            remember(h, &items[i]);
    }
    h->count += count;
    return items;
}

void items_free(struct item *items, size_t count)
{
    for (size_t i = 0; items != NULL && i < count; i++) {
        ecshist_event_free(items[i].event);
        free(items[i].memory);
    }
    free(items);
}
