#include "compare/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/rig.h"

enum { SOCKET_DIR_MAX = 80, STOP_S = 10 };

static char scratch[PATH_MAX];
static uid_t owner_uid;
static gid_t owner_gid;
static const char *owner_name; /* NULL = ours */
static pid_t server_pid, guard_pid;
static int alive_fd; /* closed, at the latest by our end: the guard's sign */

/* ---- the directory -------------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
    (void)status, (void)kind, (void)ftw;
    return remove(path);
}

/* guard: a process that waits for the end of this one, whatever brings it about, and then removes the directory. A server may write
 * into it for a moment longer. */
static void guard(int until_closed)
{
    char byte;
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    while (read(until_closed, &byte, 1) < 0 && errno == EINTR) {
    }
    for (int i = 0; i < STOP_S * 20; i++) {
        nftw(scratch, remove_one, 32, FTW_DEPTH | FTW_PHYS);
        if (access(scratch, F_OK) != 0)
            _exit(0);
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    }
    _exit(1);
}

static void start_guard(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0 || (guard_pid = fork()) < 0)
        die("no guard for the directory: %s", strerror(errno));
    if (guard_pid == 0) {
        close(ends[1]);
        guard(ends[0]);
    }
    close(ends[0]);
    alive_fd = ends[1];
}

/* become_owner: in a child, before exec. */
static bool become_owner(void)
{
    return owner_name == NULL || (initgroups(owner_name, owner_gid) == 0 &&
                                  setgid(owner_gid) == 0 && setuid(owner_uid) == 0);
}

static bool owner_can_reach(const char *dir)
{
    const pid_t child = fork();
    if (child == 0)
        _exit(become_owner() && access(dir, R_OK | W_OK | X_OK) == 0 ? 0 : 1);
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static bool make_below(const char *base)
{
    char absolute[PATH_MAX];
    if (realpath(base, absolute) == NULL || strlen(absolute) > sizeof scratch - 32)
        return false;
    snprintf(scratch, sizeof scratch, "%.*s/compare-XXXXXX", (int)(sizeof scratch - 32), absolute);
    if (mkdtemp(scratch) == NULL) {
        scratch[0] = '\0';
        return false;
    }
    if ((owner_name == NULL || chown(scratch, owner_uid, owner_gid) == 0) &&
        strlen(scratch) <= SOCKET_DIR_MAX && owner_can_reach(scratch))
        return true;
    rmdir(scratch);
    scratch[0] = '\0';
    return false;
}

void server_scratch(char *dir_out, size_t cap, const char *base, const char *user)
{
    if (user != NULL && geteuid() == 0) {
        const struct passwd *entry = getpwnam(user);
        if (entry == NULL)
            die("there is no account %s to run the server under", user);
        owner_uid = entry->pw_uid;
        owner_gid = entry->pw_gid;
        owner_name = user;
    }
    if (mkdir("build", 0755) != 0 && errno != EEXIST)
        die("cannot make build/: %s", strerror(errno));
    if (mkdir(base, 0755) != 0 && errno != EEXIST)
        die("cannot make %s: %s", base, strerror(errno));
    if (!make_below(base)) {
        if (!make_below("/var/tmp"))
            die("no directory can be made below %s or /var/tmp", base);
        fprintf(stderr, "bench: data below /var/tmp, which may be another disk\n");
    }
    start_guard();
    snprintf(dir_out, cap, "%s", scratch);
}

void server_scratch_remove(void)
{
    close(alive_fd);
    waitpid(guard_pid, NULL, 0);
}

/* ---- the process ---------------------------------------------------------------------------------------------- */

static pid_t start(char *const argv[], const char *log, int death_signal)
{
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0)
        die("cannot fork: %s", strerror(errno));
    if (child > 0)
        return child;
    const int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    const int in = open("/dev/null", O_RDONLY);
    if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
        chdir(scratch) != 0)
        _exit(125);
    if (!become_owner() || setpgid(0, 0) != 0)
        _exit(126);
    /* after the change of user, which would clear it */
    if (prctl(PR_SET_PDEATHSIG, death_signal) != 0 || getppid() != parent)
        _exit(124);
    execv(argv[0], argv);
    _exit(127);
}

static void print_log(const char *log)
{
    char line[512];
    FILE *file = fopen(log, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        fputs(line, stderr);
    if (file != NULL)
        fclose(file);
}

void server_run(char *const argv[], const char *log)
{
    const pid_t child = start(argv, log, SIGKILL);
    int status;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        print_log(log);
        die("%s failed", argv[0]);
    }
}

void server_start(char *const argv[], const char *log, int death_signal)
{
    server_pid = start(argv, log, death_signal);
}

bool server_is_alive(void)
{
    int status;
    if (server_pid > 0 && waitpid(server_pid, &status, WNOHANG) == server_pid)
        server_pid = 0;
    return server_pid > 0;
}

void server_stop(int signal)
{
    if (!server_is_alive())
        return;
    kill(server_pid, signal);
    for (int i = 0; i < STOP_S * 100 && server_is_alive(); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    if (server_is_alive()) {
        kill(server_pid, SIGKILL);
        waitpid(server_pid, NULL, 0);
        server_pid = 0;
    }
}

/* One line of /proc/PID/stat: whose child it is, and its ticks (with those of children that have ended, for the server). */
static bool read_stat(long pid, long *parent, unsigned long *ticks, bool with_children)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    const bool got = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    const char *rest = got ? strrchr(line, ')') : NULL;
    unsigned long user, kernel;
    long user_children, kernel_children;
    if (rest == NULL ||
        sscanf(rest + 1, " %*c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", parent,
               &user, &kernel, &user_children, &kernel_children) != 5)
        return false;
    *ticks = user + kernel + (with_children ? (unsigned long)(user_children + kernel_children) : 0);
    return true;
}

double server_cpu_s(void)
{
    unsigned long sum = 0;
    DIR *dir = opendir("/proc");
    if (dir == NULL)
        return 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        const long pid = strtol(entry->d_name, NULL, 10);
        long parent;
        unsigned long ticks;
        if (pid > 0 && read_stat(pid, &parent, &ticks, pid == server_pid) &&
            (pid == server_pid || parent == server_pid))
            sum += ticks;
    }
    closedir(dir);
    return (double)sum / (double)sysconf(_SC_CLK_TCK);
}
