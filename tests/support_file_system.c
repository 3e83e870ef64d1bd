#define _GNU_SOURCE
#include "support_file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

typedef struct simple_run {
    void (*run)(void *context);
    void *context;
    bool was_run;
} simple_run;

#define FIELD(name) ((unsigned)offsetof(struct seccomp_data, name))
#define LOAD(name)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(name))
#define FAIL(code)  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))

static bool forbid(void)
{
    /* O_TMPFILE has the bit of O_DIRECTORY too. */
    unsigned nameless = (unsigned)O_TMPFILE & ~(unsigned)O_DIRECTORY;
    struct sock_filter filter[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        LOAD(args[2]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, nameless, 0, 4),
        FAIL(EOPNOTSUPP),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 2),
        LOAD(args[4]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, RENAME_EXCHANGE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        FAIL(EINVAL),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *begin(void *context)
{
    simple_run *simple = context;
    simple->was_run = forbid();
    if (simple->was_run)
        simple->run(simple->context);
    return NULL;
}

bool test_on_simple_file_system(void (*run)(void *context), void *context)
{
    simple_run simple = {run, context, false};
    pthread_t thread;
    if (pthread_create(&thread, NULL, begin, &simple) != 0)
        return false;
    pthread_join(thread, NULL);
    return simple.was_run;
}
