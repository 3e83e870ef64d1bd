/*
 * A program that runs beside us, and our ends of its standard streams.
 *
 * The ends are sockets instead of pipes: a socket can be born close-on-exec, so no child
 * of another thread inherits ours and keeps it open, and it can be written without
 * SIGPIPE.
 */
#ifndef S3R_BASE_CHILD_H
#define S3R_BASE_CHILD_H

#include "base/compiler.h"

/* Numbers of the streams in the child. */
enum {
    S3R_CHILD_INPUT,
    S3R_CHILD_OUTPUT,
    S3R_CHILD_COMPLAINTS, /* its standard error */
    S3R_CHILD_ENDS
};

typedef struct s3r_child {
    int pid;                  /* 0 = none */
    int ends[S3R_CHILD_ENDS]; /* ours; -1 = closed */
    size_t said_length;
    char said[512]; /* start of its complaints */
} s3r_child;

/*
 * Starts a program without a shell; arguments end with NULL, the first is looked up in
 * PATH.  Its signal mask and SIGPIPE are those of a fresh program; another signal
 * that this one ignores stays ignored.  0, or an errno (ENOENT: there is no such
 * program), and then there is no child and nothing is open.
 */
int s3r_child_start(s3r_child *child, const char *const *arguments);

void s3r_child_close_end(s3r_child *child, int end); /* a closed one is allowed */
/* Reads what the complaints' end has, of which the start is kept; waits when it has
 * nothing.  Closes the end when the child has closed its own. */
void s3r_child_listen(s3r_child *child);
/* Closes all ends, waits for the child and tells whether it ended well.  A host that
 * ignores SIGCHLD leaves no exit status to see: that counts as well. */
bool s3r_child_wait(s3r_child *child);
/* Kills it, if there is one, and waits. */
void s3r_child_stop(s3r_child *child);
/* The first line of its complaints, without what a terminal could take as a command; ""
 * when there is none.  Lives in the child. */
const char *s3r_child_complaint(s3r_child *child);

#endif
