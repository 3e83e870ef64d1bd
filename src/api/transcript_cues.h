/*
 * Words to subtitles: where one ends and the next begins, and how its text is cut into
 * lines.
 */
#ifndef S3R_API_TRANSCRIPT_CUES_H
#define S3R_API_TRANSCRIPT_CUES_H

#include "base/error.h"
#include "s3r/transcript.h"

/* A word, or a character of a word that is wider than a line. */
typedef struct s3r_cue_unit {
    const char *text;
    size_t length; /* bytes */
    size_t columns;
    size_t start_frame, end_frame;
    bool is_glued;    /* no space before it */
    bool starts_line; /* of its subtitle; set for all but the first line */
} s3r_cue_unit;

typedef struct s3r_cue {
    size_t first_unit, unit_count;
    long long start_ms, end_ms;
} s3r_cue;

typedef struct s3r_cues {
    s3r_cue_unit *units;
    s3r_cue *items;
    size_t unit_count, count;
} s3r_cues;

/*
 * A subtitle ends before a pause of pause_s.  When its text would not fit into max_lines
 * lines of line_width columns, or would last longer than max_cue_s, it ends before the
 * longest pause within its second half instead (of equals the last).  It is shown from
 * the start of its first word to the end of its last one, longer when that is less than
 * min_cue_s, but not into the next one nor beyond the audio.  Lines are filled in order.
 * A word wider than a line is divided into characters, whose times are those of its
 * labels in proportion.
 *
 * The result's texts are borrowed.  Release *out in any case.  S3R_ERR_RESOURCE.
 */
s3r_status s3r_cues_make(s3r_cues *out, const s3r_result *result,
                         const s3r_transcript_options *options, s3r_error *err);
void s3r_cues_release(s3r_cues *cues); /* a zeroed one is allowed */

#endif
