/*
 * Events as stored records. An event is made once, from a value (ehi_record_encode), as a record
 * whose seq, recordedAt, flags and checksum are still 0; appending stamps it (ehi_record_stamp).
 * Everything that acts on an event acts on the decoded record, so that a fold of the log sees just
 * what the append saw.
 */
#ifndef EHI_CODEC_RECORD_H
#define EHI_CODEC_RECORD_H

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "codec/format.h"
#include "model/event.h"
#include "model/value.h"

/*
 * Appends one record to `out` from an event as JSON has it. INVALID, LIMIT (place: the member),
 * NO_MEMORY.
 */
int ehi_record_encode(const struct ehi_value *event, struct ehi_buffer *out,
                      struct ecshist_error *error) ECSHIST_CHECKED;
/* Sets seq, recordedAt, flags, and the checksum over the whole record. seed: of the store. */
void ehi_record_stamp(uint8_t *record, uint64_t seq, int64_t recorded_at_us, unsigned flags,
                      uint64_t seed);
/* What the checksum of a record of so many bytes is to be. */
uint32_t ehi_record_checksum(const uint8_t *record, size_t bytes, uint64_t seed);
/* The checksum of a stamped record is right, and its lengths are within `bytes`. */
bool ehi_record_intact(struct ehi_slice bytes, uint64_t seed);
/*
 * Decodes and checks everything in spec sections 2 and 3: types, ARNs, bounds, one service
 * throughout. `record` is exactly one record; lists come from the arena, all else borrows from the
 * record. Where it fails, *out is anything. INVALID, LIMIT (place: the member), NO_MEMORY.
 */
int ehi_event_decode(struct ehi_slice record, struct ehi_arena *arena, struct ehi_event *out,
                     struct ecshist_error *error) ECSHIST_CHECKED;
/* The cheap part only: header, subject, id, body borrowed; arn parsed; members by type not. */
int ehi_event_decode_envelope(struct ehi_slice record, struct ehi_event *out,
                              struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * The event's value for JSON: seq and recordedAt where stamped, id, type, time, subject, then the
 * body's. recordedAt and time are EHI_VALUE_TIME.
 */
int ehi_event_to_value(const struct ehi_event *event, struct ehi_arena *arena,
                       struct ehi_value *out, struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * The event's id: as given, or 32 hexadecimal digits of the hash of its content. NUL-terminated in
 * buffer.
 */
struct ehi_slice ehi_event_id(const struct ehi_event *event, char buffer[ECSHIST_MAX_ID_BYTES + 1]);
/* Equal but for id (and seq, recordedAt, flags): type, time, subject and body bytes. */
bool ehi_event_same_content(const struct ehi_event *a, const struct ehi_event *b);

#endif
