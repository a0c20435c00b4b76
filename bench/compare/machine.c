/* What the measurements were made on. */
#include "bench.h"

#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static void cpu(char out[256])
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(out, 256, "unknown");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL) {
            snprintf(out, 256, "%s", strchr(line, ':') + 2);
            out[strcspn(out, "\n")] = '\0';
            break;
        }
    if (file != NULL)
        fclose(file);
}

static void file_system(char out[256])
{
    static const struct {
        long magic;
        const char *name;
    } known[] = {{0xef53, "ext4"},
                 {0x58465342, "xfs"},
                 {0x9123683e, "btrfs"},
                 {0x01021994, "tmpfs"},
                 {0x794c7630, "overlayfs"}};
    struct statfs status;
    if (statfs(work_dir(), &status) != 0) {
        snprintf(out, 256, "unknown");
        return;
    }
    snprintf(out, 256, "0x%lx", (unsigned long)status.f_type);
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if ((unsigned long)status.f_type == (unsigned long)known[i].magic)
            snprintf(out, 256, "%s", known[i].name);
}

const char *machine_fact_name(int which)
{
    static const char *const names[MACHINE_FACTS] = {"cpu",        "cores",    "kernel",
                                                     "fileSystem", "compiler", "time"};
    return names[which];
}

char *machine_fact(int which, char out[256])
{
    struct utsname name;
    time_t now = time(NULL);
    struct tm utc;
    if (which == 0)
        cpu(out);
    else if (which == 1)
        snprintf(out, 256, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    else if (which == 2)
        snprintf(out, 256, "%s", uname(&name) == 0 ? name.release : "unknown");
    else if (which == 3)
        file_system(out);
    else if (which == 4)
        snprintf(out, 256, "%s", __VERSION__);
    else if (gmtime_r(&now, &utc) != NULL)
        strftime(out, 256, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return out;
}
