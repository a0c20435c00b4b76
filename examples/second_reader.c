/*
 * A second reader of the log, written from docs/FORMAT.md alone: no header of the library, only the C
 * library and xxHash. `second_reader STORE/log` prints each event as a line of JSON and ends with the
 * verdict: end of the log, torn tail, or (exit status 1) damage.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { HEADER = 64, FRAME = 32, RECORD = 48, FOOTER = 64, TRAILER = 16 };
static const uint32_t frame_magic = 0x454D5246, footer_magic = 0x544F4F46;

/* Sections 5 and 7 of the text: types and names by number, from 1. */
static const char types[] =
    "revision-created deployment-created deployment-started tasks-updated task-failed "
    "task-healthy alarm-triggered lifecycle-stage-changed lifecycle-hook-updated "
    "hook-action-requested stop-requested rollback-started rollback-succeeded rollback-failed "
    "deployment-succeeded deployment-stopped deployment-observed revision-observed "
    "service-deleted history-expired";
static const char names[] =
    "serviceDeploymentArn serviceRevisionArn serviceArn clusterArn targetServiceRevisionArn "
    "sourceServiceRevisionArns deploymentConfiguration desiredCount createdAt serviceRevisions "
    "taskArn reason stopCode exitCode containerName alarmNames lifecycleStage hook hookId action "
    "stopType requestedBy revision serviceDeployment serviceRevision cutoff keepLast id type time "
    "seq recordedAt arn requestedTaskCount runningTaskCount pendingTaskCount "
    "requestedTestTrafficWeight requestedProductionTrafficWeight startedAt finishedAt stoppedAt "
    "updatedAt sourceServiceRevisions targetServiceRevision status statusReason "
    "lifecycleHookDetails rollback deploymentCircuitBreaker alarms targetType targetArn expiresAt "
    "timeoutAction failureCount threshold triggeredAlarmNames maximumPercent "
    "minimumHealthyPercent strategy bakeTimeInMinutes lifecycleHooks linearConfiguration "
    "canaryConfiguration enable resetOnHealthyTask thresholdConfiguration value hookTargetArn "
    "roleArn lifecycleStages hookDetails timeoutConfiguration timeoutInMinutes stepPercent "
    "stepBakeTimeInMinutes canaryPercent canaryBakeTimeInMinutes taskDefinition "
    "capacityProviderStrategy launchType platformVersion platformFamily loadBalancers "
    "serviceRegistries networkConfiguration containerImages guardDutyEnabled "
    "serviceConnectConfiguration volumeConfigurations fargateEphemeralStorage "
    "vpcLatticeConfigurations resolvedConfiguration ecsManagedResources overrides monitoring "
    "capacityProvider weight base targetGroupArn loadBalancerName containerPort "
    "advancedConfiguration alternateTargetGroupArn productionListenerRule testListenerRule "
    "registryArn port awsvpcConfiguration subnets securityGroups assignPublicIp imageDigest image "
    "enabled namespace services logConfiguration portName discoveryName clientAliases dnsName "
    "logDriver options secretOptions name valueFrom accessLogConfiguration ingressPortOverride "
    "timeout tls testTrafficRules header exact idleTimeoutSeconds perRequestTimeoutSeconds "
    "issuerCertificateAuthority kmsKey awsPcaAuthorityArn format includeQueryParameters "
    "managedEBSVolume encrypted kmsKeyId volumeType sizeInGiB snapshotId volumeInitializationRate "
    "iops throughput tagSpecifications filesystemType resourceType tags propagateTags key "
    "ingressPaths autoScaling metricAlarms serviceSecurityGroups logGroups accessType endpoint "
    "loadBalancer loadBalancerSecurityGroups certificate listener rule targetGroups scheme "
    "subnetIds securityGroupIds domainName healthCheckPath healthCheckPort scalableTarget "
    "applicationAutoScalingPolicies minCapacity maxCapacity policyType targetValue metric "
    "logGroupName runtimePlatform cpuArchitecture metricConfigurations metricNames "
    "resolutionSeconds";

struct segment {
    char path[4096];
    uint64_t first_seq;
    unsigned char *bytes;
    size_t size;
    bool newest;
    bool compressed;
    bool gaps; /* expired events are gone */
};

static uint64_t seed, next = 1;
static unsigned char store_id[16];

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    while (bytes-- > 0)
        v = v << 8 | p[bytes];
    return v;
}

static void damage(const struct segment *segment, size_t offset, const char *what)
{
    printf("damage: %s at offset %zu, after seq %" PRIu64 ": %s\n", strrchr(segment->path, '/') + 1,
           offset, next - 1, what);
    exit(1);
}

/* Prints the word with this number, from 1, in quotes; false where there are not so many. */
static bool print_word(const char *words, unsigned number)
{
    for (unsigned i = 1; i < number && words != NULL; i++) {
        words = strchr(words, ' ');
        words = words == NULL ? NULL : words + 1;
    }
    if (number == 0 || words == NULL)
        return false;
    printf("\"%.*s\"", (int)strcspn(words, " "), words);
    return true;
}

/* -- MessagePack to JSON. Each function returns where the value ends, NULL where it is malformed. -- */

static const unsigned char *print_value(const unsigned char *p, const unsigned char *end,
                                        int depth);

static void print_text(const unsigned char *p, size_t length)
{
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        if (p[i] < 0x20)
            printf("\\u%04x", p[i]);
        else
            printf(p[i] == '"' || p[i] == '\\' ? "\\%c" : "%c", p[i]);
    }
    putchar('"');
}

static const unsigned char *print_string(const unsigned char *p, const unsigned char *end,
                                         uint64_t n)
{
    if (n > (uint64_t)(end - p))
        return NULL;
    print_text(p, (size_t)n);
    return p + n;
}

static const unsigned char *print_key(const unsigned char *p, const unsigned char *end)
{
    if (p == end)
        return NULL;
    bool two = *p == 0xcc && end - p > 1;
    unsigned number = two ? p[1] : *p;
    if (*p >= 0x80 && !two)
        return print_value(p, end, 0);
    return print_word(names, number) ? p + (two ? 2 : 1) : NULL;
}

static const unsigned char *print_items(const unsigned char *p, const unsigned char *end,
                                        uint64_t n, int depth, bool map)
{
    if (depth == 0 || n > (uint64_t)(end - p))
        return NULL;
    putchar(map ? '{' : '[');
    for (uint64_t i = 0; i < n && p != NULL; i++) {
        fputs(i > 0 ? "," : "", stdout);
        if (map) {
            p = print_key(p, end);
            putchar(':');
        }
        if (p != NULL)
            p = print_value(p, end, depth - 1);
    }
    putchar(map ? '}' : ']');
    return p;
}

static void print_real(uint64_t bits, int bytes)
{
    double real;
    uint32_t bits32 = (uint32_t)bits;
    float real32;
    memcpy(&real, &bits, sizeof(real));
    memcpy(&real32, &bits32, sizeof(real32));
    printf("%.17g", bytes == 4 ? (double)real32 : real);
}

/* What begins with c0 to df: its number or length is in `bytes` bytes behind the mark. */
static const unsigned char *print_marked(const unsigned char *p, const unsigned char *end,
                                         int depth)
{
    static const int sizes[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 8, 1, 2, 4, 8,
                                1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4};
    unsigned mark = *p++;
    int bytes = sizes[mark - 0xc0];
    uint64_t v = 0;
    if (end - p < bytes)
        return NULL;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | *p++;
    if (mark == 0xc0 || mark == 0xc2 || mark == 0xc3)
        fputs(mark == 0xc0 ? "null" : mark == 0xc2 ? "false" : "true", stdout);
    else if (mark == 0xca || mark == 0xcb)
        print_real(v, bytes);
    else if (mark >= 0xcc && mark <= 0xcf)
        printf("%" PRIu64, v);
    else if (mark >= 0xd0 && mark <= 0xd3)
        printf("%" PRId64, (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes));
    else if (mark >= 0xd9 && mark <= 0xdb)
        return print_string(p, end, v);
    else if (mark >= 0xdc)
        return print_items(p, end, v, depth, mark >= 0xde);
    else
        return NULL;
    return p;
}

static const unsigned char *print_value(const unsigned char *p, const unsigned char *end, int depth)
{
    if (p == end)
        return NULL;
    if (*p < 0x80 || *p >= 0xe0) {
        printf("%d", *p < 0x80 ? *p : *p - 256);
        return p + 1;
    }
    if (*p >= 0xc0)
        return print_marked(p, end, depth);
    if (*p >= 0xa0)
        return print_string(p + 1, end, *p & 0x1f);
    return print_items(p + 1, end, *p & 0x0f, depth, *p < 0x90);
}

/* -- records, frames, segments --------------------------------------------------------------------- */

static void print_id(const unsigned char *r, size_t subject, size_t id, size_t body)
{
    if (id > 0) {
        print_text(r + RECORD + subject, id);
        return;
    }
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, r + 32, 2);
    XXH3_128bits_update(state, r + 24, 8);
    XXH3_128bits_update(state, r + 36, 2);
    XXH3_128bits_update(state, r + RECORD, subject);
    XXH3_128bits_update(state, r + RECORD + subject, body);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    printf("\"%016" PRIx64 "%016" PRIx64 "\"", hash.high64, hash.low64);
}

/* false: the record is not what the format says. */
static bool print_record(const unsigned char *r, size_t size)
{
    size_t subject = little(r + 36, 2), id = little(r + 38, 2), body = little(r + 40, 4);
    unsigned type = (unsigned)little(r + 32, 2);
    if (RECORD + subject + id + body > size ||
        (uint32_t)XXH3_64bits_withSeed(r + 8, size - 8, seed) != little(r + 4, 4))
        return false;
    printf("{\"seq\":%" PRIu64 ",\"recordedAt\":%" PRId64 ",\"time\":%" PRId64, little(r + 8, 8),
           (int64_t)little(r + 16, 8), (int64_t)little(r + 24, 8));
    fputs(",\"type\":", stdout);
    if (!print_word(types, type))
        printf("%u", type);
    printf(",\"ignored\":%s,\"subject\":", (little(r + 34, 2) & 1) != 0 ? "true" : "false");
    print_text(r + RECORD, subject);
    fputs(",\"id\":", stdout);
    print_id(r, subject, id, body);
    fputs(",\"body\":", stdout);
    const unsigned char *from = r + RECORD + subject + id;
    const unsigned char *end = print_value(from, from + body, 32);
    puts("}");
    return end == from + body;
}

/* Section 6 of the text. A number of 7 bits a byte; *p is NULL where it does not end. */
static uint64_t varint(const unsigned char **p, const unsigned char *end)
{
    uint64_t number = 0;
    for (int shift = 0; *p != NULL && shift < 64 && *p < end; shift += 7) {
        number |= (uint64_t)(**p & 0x7f) << shift;
        if ((*(*p)++ & 0x80) == 0)
            return number;
    }
    *p = NULL;
    return 0;
}

static void put(unsigned char *p, uint64_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (unsigned char)(number >> (8 * i));
}

/* The parts of the record that stands at `at`, `size` bytes, from its tokens. */
static bool expand(const struct segment *segment, size_t at, const unsigned char *p,
                   const unsigned char *end, unsigned char *out, size_t size)
{
    while (p != NULL && p < end) {
        uint64_t token = varint(&p, end), n = token / 2;
        bool copies = token % 2 == 1;
        uint64_t distance = copies ? varint(&p, end) : 0;
        if (p == NULL || n == 0 || n > size || (!copies && n > (size_t)(end - p)) ||
            (copies && (distance > at - HEADER || n > distance)))
            return false;
        memcpy(out, copies ? segment->bytes + at - distance : p, n);
        p += copies ? 0 : n;
        out += n;
        size -= n;
    }
    return p != NULL && size == 0;
}

/* The record as it was before it was compressed, in memory of its own; NULL where there is none. *at moves behind it. */
static unsigned char *make_record(const struct segment *segment, size_t *at, size_t end,
                                  size_t *size)
{
    const unsigned char *p = segment->bytes + *at, *frame_end = segment->bytes + end;
    uint64_t length = varint(&p, frame_end);
    if (p == NULL || length < 4 || length > (size_t)(frame_end - p))
        return NULL;
    const unsigned char *checksum = p, *record_end = p + length;
    p += 4;
    uint64_t seq = varint(&p, record_end), time = varint(&p, record_end);
    uint64_t apart = varint(&p, record_end), type = varint(&p, record_end);
    uint64_t parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = varint(&p, record_end);
    if (p == NULL || parts[0] > 65535 || parts[1] > 65535 || parts[2] > 2097152)
        return NULL;
    size_t content = (size_t)(parts[0] + parts[1] + parts[2]);
    *size = (RECORD + content + 7) / 8 * 8;
    unsigned char *record = calloc(1, *size);
    if (record == NULL)
        return NULL;
    put(record, *size, 4);
    memcpy(record + 4, checksum, 4);
    put(record + 8, seq, 8);
    put(record + 16, time + (apart / 2 ^ (0 - (apart & 1))), 8);
    put(record + 24, time, 8);
    put(record + 32, type / 2, 2);
    put(record + 34, type % 2, 2);
    put(record + 36, parts[0], 2);
    put(record + 38, parts[1], 2);
    put(record + 40, parts[2], 4);
    if (!expand(segment, *at, p, record_end, record + RECORD, content)) {
        free(record);
        return NULL;
    }
    *at = (size_t)(record_end - segment->bytes);
    return record;
}

/* The size of the valid frame at the offset, header and all; 0: there is none. */
static size_t valid_frame(const struct segment *segment, size_t offset, uint32_t magic)
{
    if (segment->size < FRAME || offset > segment->size - FRAME)
        return 0;
    const unsigned char *f = segment->bytes + offset;
    uint64_t payload = little(f + 12, 4), records = little(f + 16, 4);
    if (little(f + 8, 4) != magic || payload % 8 != 0 || payload > segment->size - offset - FRAME)
        return 0;
    if (magic == frame_magic ? records == 0 : records != 0 || payload < FOOTER)
        return 0;
    size_t size = FRAME + (size_t)payload;
    return XXH3_64bits_withSeed(f + 8, size - 8, seed) == little(f, 8) ? size : 0;
}

/* An event of this seq may come next. */
static bool may_follow(const struct segment *segment, uint64_t seq)
{
    return seq == next || (segment->gaps && seq > next && seq < UINT64_MAX);
}

/* The record that stands at *at, in memory of its own; *at moves behind it. NULL: it is not as the format says. */
static unsigned char *take_record(const struct segment *segment, size_t *at, size_t end,
                                  size_t *size)
{
    if (segment->compressed)
        return make_record(segment, at, end, size);
    *size = end - *at >= RECORD ? (size_t)little(segment->bytes + *at, 4) : 0;
    if (*size < RECORD || *size % 8 != 0 || *size > end - *at)
        return NULL;
    unsigned char *record = malloc(*size);
    if (record != NULL)
        memcpy(record, segment->bytes + *at, *size);
    *at += *size;
    return record;
}

/* Compressed records have up to 7 zeros behind them. */
static bool is_padding(const struct segment *segment, size_t at, size_t end)
{
    while (at < end && segment->bytes[at] == 0)
        at++;
    return at == end;
}

static void print_frame(const struct segment *segment, size_t offset, size_t size)
{
    size_t at = offset + FRAME, end = offset + size, length = 0;
    uint64_t count = 0, records = little(segment->bytes + offset + 16, 4);
    uint64_t first = little(segment->bytes + offset + 24, 8);
    if (!may_follow(segment, first))
        damage(segment, offset, "the frame does not begin with the next seq");
    while (at < end && !(segment->compressed && end - at < 8 && is_padding(segment, at, end))) {
        size_t start = at;
        unsigned char *r = take_record(segment, &at, end, &length);
        if (r == NULL || !may_follow(segment, little(r + 8, 8)) ||
            (count == 0 && little(r + 8, 8) != first))
            damage(segment, start, "a record is not as the format says");
        else if (!print_record(r, length))
            damage(segment, start, "a record is not whole");
        next = little(r + 8, 8) + 1;
        free(r);
        count++;
    }
    if (count != records)
        damage(segment, offset, "the frame has another number of records than it says");
}

/* The offset that the trailer names; 0: there is none. */
static uint64_t trailer(const struct segment *segment)
{
    const unsigned char *t = segment->bytes + segment->size - TRAILER;
    return memcmp(t + 8, "ECSHEND1", 8) == 0 ? little(t, 8) : 0;
}

static bool valid_later(const struct segment *segment, size_t offset)
{
    for (size_t at = offset + 8; at + FRAME <= segment->size; at += 8) {
        if (little(segment->bytes + at + 24, 8) >= next &&
            valid_frame(segment, at, frame_magic) + valid_frame(segment, at, footer_magic) > 0)
            return true;
    }
    return trailer(segment) > offset && trailer(segment) < segment->size;
}

/* No valid frame is here, nor a footer. */
static void verdict(const struct segment *segment, size_t offset)
{
    size_t at = offset;
    while (at < segment->size && segment->bytes[at] == 0)
        at++;
    if (!segment->newest)
        damage(segment, offset, "no valid frame in a segment that has a successor");
    if (at < segment->size && valid_later(segment, offset))
        damage(segment, offset, "no valid frame, and something valid follows");
    printf("%s: after seq %" PRIu64 "\n", at >= segment->size ? "end of the log" : "torn tail",
           next - 1);
}

/* Prints all of a segment, and the verdict where it does not end with a footer or is the last. */
static void read_frames(const struct segment *segment)
{
    size_t offset = HEADER, size = valid_frame(segment, offset, frame_magic);
    while (size > 0) {
        print_frame(segment, offset, size);
        offset += size;
        size = valid_frame(segment, offset, frame_magic);
    }
    size = valid_frame(segment, offset, footer_magic);
    const unsigned char *f = segment->bytes + offset;
    if (size > 0 &&
        (!may_follow(segment, little(f + 24, 8)) || little(f + 24, 8) == segment->first_seq ||
         size != FRAME + FOOTER + little(f + 88, 4) * 16))
        damage(segment, offset, "the footer does not follow from the frames");
    if (size > 0)
        next = little(f + 24, 8);
    if (size == 0 || (trailer(segment) != offset && !segment->newest))
        verdict(segment, offset);
    else if (segment->newest)
        printf("%s: after seq %" PRIu64 "\n",
               trailer(segment) == offset ? "end of the log" : "torn tail", next - 1);
}

static void check_header(struct segment *segment, bool first)
{
    const unsigned char *h = segment->bytes;
    if (segment->size < HEADER || XXH3_64bits(h, 56) != little(h + 56, 8))
        damage(segment, 0, "the header is not whole");
    if (memcmp(h, "ECSHSEG1", 8) != 0 || little(h + 8, 4) != 1 || little(h + 12, 4) != HEADER ||
        little(h + 20, 4) > 3) {
        printf("%s: not of format version 1\n", segment->path);
        exit(1);
    }
    segment->gaps = (little(h + 20, 4) & 1) != 0;
    segment->compressed = (little(h + 20, 4) & 2) != 0;
    if (first)
        memcpy(store_id, h + 24, sizeof(store_id));
    seed = little(store_id, 8) ^ little(store_id + 8, 8);
    if (memcmp(store_id, h + 24, sizeof(store_id)) != 0)
        damage(segment, 0, "it is of another store");
    if (little(h + 40, 8) != segment->first_seq || segment->first_seq != next)
        damage(segment, 0, "a segment is missing before this one");
}

static void load(struct segment *segment)
{
    FILE *file = fopen(segment->path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(segment->path);
        exit(1);
    }
    segment->size = (size_t)ftell(file);
    segment->bytes = malloc(segment->size + 1);
    rewind(file);
    if (segment->bytes == NULL || fread(segment->bytes, 1, segment->size, file) != segment->size) {
        perror(segment->path);
        exit(1);
    }
    fclose(file);
}

static int is_segment(const struct dirent *entry)
{
    const char *name = entry->d_name;
    return strspn(name, "0123456789") == 20 && strcmp(name + 20, ".seg") == 0;
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int count = argc == 2 ? scandir(argv[1], &entries, is_segment, alphasort) : -1;
    if (count <= 0) {
        fprintf(stderr, "usage: second_reader STORE/log\n");
        return 2;
    }
    for (int i = 0; i < count; i++) {
        struct segment segment = {.newest = i + 1 == count};
        snprintf(segment.path, sizeof(segment.path), "%s/%s", argv[1], entries[i]->d_name);
        segment.first_seq = strtoull(entries[i]->d_name, NULL, 10);
        load(&segment);
        check_header(&segment, i == 0);
        read_frames(&segment);
        free(segment.bytes);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
