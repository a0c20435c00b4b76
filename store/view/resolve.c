#include "view/resolve.h"

#include "codec/state.h"
#include "view/as_of.h"

#include <stdio.h>
#include <stdlib.h>

int view_parse_arn(enum ehi_arn_kind kind, const char *text, struct ehi_arn *out,
                   struct ecshist_error *error)
{
    if (text == NULL)
        return ehi_fail(error, ECSHIST_INVALID, "an ARN is missing");
    struct ehi_slice slice = ehi_slice_text(text);
    int rc =
        kind == 0 ? ehi_arn_parse(slice, out, error) : ehi_arn_parse_as(kind, slice, out, error);
    if (rc != ECSHIST_LIMIT)
        return rc;
    if (error != NULL)
        error->code = ECSHIST_INVALID;
    return ECSHIST_INVALID;
}

static bool is_arn(const char *text)
{
    return strncmp(text, "arn:", 4) == 0;
}

/* Which cluster is meant: by its name, or by more than that. */
struct wanted_cluster {
    struct ehi_slice name;
    bool by_arn;
    struct ehi_arn arn;
};

static int parse_cluster(const char *text, struct wanted_cluster *out, struct ecshist_error *error)
{
    *out = (struct wanted_cluster){.name = ehi_slice_text(text)};
    int rc = ECSHIST_OK;
    if (is_arn(text)) {
        rc = view_parse_arn(EHI_ARN_CLUSTER, text, &out->arn, error);
        out->by_arn = true;
        out->name = out->arn.cluster;
    } else if (!ehi_name_valid(out->name)) {
        rc = ehi_fail(error, ECSHIST_INVALID, "not the name or ARN of a cluster: %.300s", text);
    }
    return rc == ECSHIST_OK ? rc : ehi_at(error, rc, "cluster");
}

static bool in_cluster(const struct ehi_arn *arn, const struct wanted_cluster *cluster)
{
    if (cluster->by_arn)
        return ehi_arn_same_cluster(arn, &cluster->arn);
    return ehi_slice_equal(arn->cluster, cluster->name);
}

static int add_service(struct view_services *list, const struct view_service *service,
                       struct ehi_arena *arena, struct ecshist_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        struct view_service *items = ehi_arena_array(arena, capacity, sizeof(*items));
        if (items == NULL)
            return ehi_fail_memory(error);
        if (list->count != 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *service;
    return ECSHIST_OK;
}

/* The service of a stored state, its ARN in the arena. */
static int service_of_state(struct ehi_slice bytes, uint64_t id, struct ehi_arena *arena,
                            struct view_service *out, struct ecshist_error *error)
{
    struct ehi_service state;
    int rc = ehi_service_decode(bytes, &state, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_slice arn = ehi_arena_copy(arena, state.arn);
    if (arn.data == NULL)
        return ehi_fail_memory(error);
    out->id = id;
    rc = ehi_arn_parse_as(EHI_ARN_SERVICE, arn, &out->arn, error);
    return rc == ECSHIST_OK
               ? rc
               : ehi_fail(error, ECSHIST_INDEX, "the index has a service without an ARN");
}

static int service_of_id(const struct ehi_view_source *source, uint64_t id, struct ehi_arena *arena,
                         struct view_service *out, struct ecshist_error *error)
{
    struct ehi_slice bytes;
    int rc = view_read_state(source, EHI_ARN_SERVICE, id, &bytes, error);
    if (rc != ECSHIST_OK)
        return rc;
    return service_of_state(bytes, id, arena, out, error);
}

/*
 * The services of a name; `service` empty: all of the cluster. The index has hashes of names: each
 * hit is compared, a collision is passed over.
 */
static int named_services(const struct ehi_view_source *source,
                          const struct wanted_cluster *cluster, struct ehi_slice service,
                          struct ehi_arena *arena, struct view_services *out,
                          struct ecshist_error *error)
{
    struct ehi_db_walk walk;
    ehi_db_named(&walk, source->txn, ehi_db_name_hash(cluster->name, service));
    struct view_service candidate;
    int rc;
    for (;;) {
        bool found;
        rc = ehi_db_named_next(&walk, &candidate.id, &found, error);
        if (rc != ECSHIST_OK || !found)
            break;
        rc = service_of_id(source, candidate.id, arena, &candidate, error);
        if (rc != ECSHIST_OK)
            break;
        bool same_name = service.length == 0 || ehi_slice_equal(candidate.arn.service, service);
        if (same_name && in_cluster(&candidate.arn, cluster))
            rc = add_service(out, &candidate, arena, error);
        if (rc != ECSHIST_OK)
            break;
    }
    ehi_db_walk_end(&walk);
    return rc;
}

/* Keeps those of the region and the account that were given. */
static void narrow(struct view_services *list, const struct view_names *names)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct ehi_arn *arn = &list->items[i].arn;
        if (names->region != NULL && !ehi_slice_is(arn->region, names->region))
            continue;
        if (names->account != NULL && !ehi_slice_is(arn->account, names->account))
            continue;
        list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

/* Region and account are named where they were what kept the others out. */
static int not_found(int code, const char *what, struct ehi_slice name,
                     const struct view_names *names, struct ecshist_error *error)
{
    return ehi_fail(
        error, code, "%s not found: %.*s%s%.64s%s%.64s", what, EHI_FMT(name),
        names->region != NULL ? ", region " : "", names->region != NULL ? names->region : "",
        names->account != NULL ? ", account " : "", names->account != NULL ? names->account : "");
}

int view_compare_texts(struct ehi_slice a, struct ehi_slice b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

static int compare_services(const void *a, const void *b)
{
    return view_compare_texts(((const struct view_service *)a)->arn.text,
                              ((const struct view_service *)b)->arn.text);
}

static void sort_services(struct view_services *list)
{
    if (list->count > 1)
        qsort(list->items, list->count, sizeof(*list->items), compare_services);
}

/* A sentence of candidates, as many as there is room for. */
struct candidates {
    char text[440];
    size_t length;
};

static void add_candidate(struct candidates *c, struct ehi_slice arn)
{
    const char *comma = c->length == 0 ? "" : ", ";
    size_t room = sizeof(c->text) - c->length;
    int n = snprintf(c->text + c->length, room, "%s%.*s", comma, EHI_FMT(arn));
    if (n > 0 && (size_t)n < room) {
        c->length += (size_t)n;
        return;
    }
    /* No ARN is shown in part: it would be another one. */
    snprintf(c->text + c->length, room, "%s", room > 5 ? ", ..." : "");
    c->length = sizeof(c->text) - 1;
}

static int ambiguous_service(const struct view_services *list, struct ecshist_error *error)
{
    struct candidates c = {.length = 0};
    for (size_t i = 0; i < list->count && c.length < sizeof(c.text) - 1; i++)
        add_candidate(&c, list->items[i].arn.text);
    int rc = ehi_fail(error, ECSHIST_AMBIGUOUS, "the service may be any of these: %s", c.text);
    return ehi_at(error, rc, "service");
}

/* What an unknown service lacks first: its cluster, or itself. */
static int missing_service(const struct ehi_view_source *source,
                           const struct wanted_cluster *cluster, struct ehi_slice service,
                           const struct view_names *names, struct ehi_arena *arena,
                           struct ecshist_error *error)
{
    struct view_services others = {0};
    int rc = named_services(source, cluster, EHI_SLICE_EMPTY, arena, &others, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct view_names no_filter = {0};
    if (others.count == 0)
        return not_found(ECSHIST_CLUSTER_NOT_FOUND, "Cluster",
                         cluster->by_arn ? cluster->arn.text : cluster->name, &no_filter, error);
    return not_found(ECSHIST_SERVICE_NOT_FOUND, "Service", service, names, error);
}

/* Where it lay when it was asked for last. *found false: nothing is said. */
static int known_service(const struct ehi_view_source *source, struct ehi_slice arn,
                         struct ehi_hash128 hash, struct ehi_arena *arena, struct view_service *out,
                         bool *found, struct ecshist_error *error)
{
    uint64_t id;
    struct ehi_slice bytes;
    int rc = ehi_db_get_known(source->txn, EHI_ARN_SERVICE, hash, &id, &bytes, found, error);
    if (rc != ECSHIST_OK || !*found)
        return rc;
    rc = service_of_state(bytes, id, arena, out, error);
    *found = rc == ECSHIST_OK && ehi_slice_equal(out->arn.text, arn);
    return rc;
}

static int resolve_service_arn(const struct ehi_view_source *source, const struct view_names *names,
                               struct ehi_arena *arena, struct view_service *out,
                               struct ecshist_error *error)
{
    struct ehi_arn arn;
    int rc = view_parse_arn(EHI_ARN_SERVICE, names->service, &arn, error);
    if (rc != ECSHIST_OK)
        return ehi_at(error, rc, "service");
    struct wanted_cluster cluster;
    if (names->cluster != NULL) {
        rc = parse_cluster(names->cluster, &cluster, error);
        if (rc != ECSHIST_OK)
            return rc;
        if (!in_cluster(&arn, &cluster)) {
            rc = ehi_fail(error, ECSHIST_INVALID,
                          "the service is of another cluster than the one given: %.*s",
                          (int)(arn.cluster.length), (const char *)arn.cluster.data);
            return ehi_at(error, rc, "cluster");
        }
    }
    struct ehi_hash128 hash = ehi_hash128(arn.text.data, arn.text.length);
    uint64_t id;
    bool found;
    rc = known_service(source, arn.text, hash, arena, out, &found, error);
    if (rc != ECSHIST_OK || found)
        return rc;
    rc = ehi_db_find(source->txn, arn.text, hash, &id, &found, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (found) {
        rc = service_of_id(source, id, arena, out, error);
        return rc == ECSHIST_OK ? view_check_arn(arn.text, out->arn.text, error) : rc;
    }
    char text[EHI_ARN_BUFFER];
    rc = ehi_arn_parse_as(EHI_ARN_CLUSTER, ehi_arn_cluster(&arn, text), &cluster.arn, error);
    if (rc != ECSHIST_OK)
        return rc;
    cluster.by_arn = true;
    cluster.name = arn.cluster;
    struct view_names no_filter = {0};
    return missing_service(source, &cluster, arn.text, &no_filter, arena, error);
}

static int resolve_service_name(const struct ehi_view_source *source,
                                const struct view_names *names, struct ehi_arena *arena,
                                struct view_service *out, struct ecshist_error *error)
{
    struct ehi_slice name = ehi_slice_text(names->service);
    if (!ehi_name_valid(name)) {
        int rc = ehi_fail(error, ECSHIST_INVALID, "not the name or ARN of a service: %.300s",
                          names->service);
        return ehi_at(error, rc, "service");
    }
    struct wanted_cluster cluster;
    int rc = parse_cluster(names->cluster != NULL ? names->cluster : "default", &cluster, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct view_services list = {0};
    rc = named_services(source, &cluster, name, arena, &list, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (list.count > 1)
        narrow(&list, names);
    if (list.count == 0)
        return missing_service(source, &cluster, name, names, arena, error);
    sort_services(&list);
    if (list.count > 1)
        return ambiguous_service(&list, error);
    *out = list.items[0];
    return ECSHIST_OK;
}

int view_resolve_service(const struct ehi_view_source *source, const struct view_names *names,
                         struct ehi_arena *arena, struct view_service *out,
                         struct ecshist_error *error)
{
    if (names->service == NULL) {
        int rc = ehi_fail(error, ECSHIST_INVALID, "a service's name or ARN is required");
        return ehi_at(error, rc, "service");
    }
    if (is_arn(names->service))
        return resolve_service_arn(source, names, arena, out, error);
    return resolve_service_name(source, names, arena, out, error);
}

static int all_services(const struct ehi_view_source *source, struct ehi_arena *arena,
                        struct view_services *out, struct ecshist_error *error)
{
    struct ehi_db_walk walk;
    ehi_db_states(&walk, source->txn, EHI_ARN_SERVICE);
    int rc;
    for (;;) {
        struct view_service service;
        struct ehi_slice bytes;
        uint64_t id;
        bool found;
        rc = ehi_db_states_next(&walk, &id, &bytes, &found, error);
        if (rc != ECSHIST_OK || !found)
            break;
        rc = service_of_state(bytes, id, arena, &service, error);
        if (rc == ECSHIST_OK)
            rc = add_service(out, &service, arena, error);
        if (rc != ECSHIST_OK)
            break;
    }
    ehi_db_walk_end(&walk);
    return rc;
}

/* Sorted by ARN, the services of one cluster stand together: is there more than one cluster? */
static bool is_one_cluster(const struct view_services *list)
{
    return ehi_arn_same_cluster(&list->items[0].arn, &list->items[list->count - 1].arn);
}

static int ambiguous_cluster(const struct view_services *list, struct ecshist_error *error)
{
    struct candidates c = {.length = 0};
    for (size_t i = 0; i < list->count && c.length < sizeof(c.text) - 1; i++) {
        char text[EHI_ARN_BUFFER];
        if (i == 0 || !ehi_arn_same_cluster(&list->items[i - 1].arn, &list->items[i].arn))
            add_candidate(&c, ehi_arn_cluster(&list->items[i].arn, text));
    }
    int rc = ehi_fail(error, ECSHIST_AMBIGUOUS, "the cluster may be any of these: %s", c.text);
    return ehi_at(error, rc, "cluster");
}

int view_resolve_cluster(const struct ehi_view_source *source, const struct view_names *names,
                         struct ehi_arena *arena, struct view_services *out,
                         struct ecshist_error *error)
{
    *out = (struct view_services){0};
    if (names->cluster == NULL) {
        int rc = all_services(source, arena, out, error);
        if (rc == ECSHIST_OK) {
            narrow(out, names);
            sort_services(out);
        }
        return rc;
    }
    struct wanted_cluster cluster;
    int rc = parse_cluster(names->cluster, &cluster, error);
    if (rc == ECSHIST_OK)
        rc = named_services(source, &cluster, EHI_SLICE_EMPTY, arena, out, error);
    if (rc != ECSHIST_OK)
        return rc;
    sort_services(out);
    if (out->count != 0 && !is_one_cluster(out))
        narrow(out, names);
    if (out->count == 0)
        return not_found(ECSHIST_CLUSTER_NOT_FOUND, "Cluster", ehi_slice_text(names->cluster),
                         names, error);
    return is_one_cluster(out) ? ECSHIST_OK : ambiguous_cluster(out, error);
}
