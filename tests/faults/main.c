/* faults [CLASS|all|self-check [SCENARIO [NUMBER [once|forever]]]]: see run.c. */
#include "faults/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool wanted(const char *name, int class)
{
    return strcmp(name, "all") == 0 || strcmp(name, shim_class_names[class]) == 0;
}

int main(int argc, char **argv)
{
    unsigned failures = 0, classes = 0;
    struct run_options options = {0};
    const char *name = argc > 1 ? argv[1] : "all";
    if (argc > 2)
        options.scenario = argv[2];
    if (argc > 3)
        options.at = strtoul(argv[3], NULL, 10);
    options.forever = argc > 4 && strcmp(argv[4], "forever") == 0;
    run_begin();
    for (int class = 0; class < SHIM_CLASS_COUNT; class ++) {
        options.class = (enum shim_class) class;
        if (!wanted(name, class))
            continue;
        failures += run_class(&options, scenarios, scenario_count);
        classes++;
    }
    if (strcmp(name, "self-check") == 0) {
        failures += run_self_check();
        classes++;
    }
    run_end();
    if (classes == 0)
        fprintf(stderr, "faults: no class %s\n", name);
    return failures != 0 || classes == 0;
}
