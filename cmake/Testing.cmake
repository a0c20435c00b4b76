# ehi_add_test(NAME name COMMAND ... [ENVIRONMENT ...]): a ctest. Under a sanitizer its reports go to
# files, since a report in a forked child does not always fail the parent; the test
# sanitizer_reports runs after all the others and fails if there is any file.
set(ehi_report_dir ${PROJECT_BINARY_DIR}/sanitizer-reports)
set(ehi_sanitizer_env)
if(ehi_sanitizers)
    set(ehi_sanitizer_env
        "ASAN_OPTIONS=log_path=${ehi_report_dir}/report:detect_leaks=1:detect_stack_use_after_return=1"
        "UBSAN_OPTIONS=log_path=${ehi_report_dir}/report:print_stacktrace=1")
    add_test(NAME sanitizer_reports_clear
             COMMAND bash -c "rm -rf \"$1\" && mkdir -p \"$1\"" clear ${ehi_report_dir})
    add_test(NAME sanitizer_reports
             COMMAND bash ${PROJECT_SOURCE_DIR}/cmake/no-reports ${ehi_report_dir})
    set_tests_properties(sanitizer_reports_clear PROPERTIES FIXTURES_SETUP sanitizer_reports)
    set_tests_properties(sanitizer_reports PROPERTIES FIXTURES_CLEANUP sanitizer_reports)
endif()

function(ehi_add_test)
    cmake_parse_arguments(arg "" NAME "COMMAND;ENVIRONMENT" ${ARGN})
    add_test(NAME ${arg_NAME} COMMAND ${arg_COMMAND})
    set_tests_properties(${arg_NAME} PROPERTIES TIMEOUT 600
                                                ENVIRONMENT "${ehi_sanitizer_env};${arg_ENVIRONMENT}")
    if(ehi_sanitizers)
        set_tests_properties(${arg_NAME} PROPERTIES FIXTURES_REQUIRED sanitizer_reports)
    endif()
endfunction()
