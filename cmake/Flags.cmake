# Flags for everything that is built here. None of them is seen by users of the installed library.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wundef
                    # Messages are cut to the size of the caller's error on purpose.
                    $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
                    $<$<COMPILE_LANGUAGE:C>:-Wshadow>
                    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
                    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>)
if(ECSHIST_WERROR)
    add_compile_options(-Werror)
endif()

set(ehi_sanitizers ${ECSHIST_SANITIZE})
if(ECSHIST_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
        message(FATAL_ERROR "ECSHIST_FUZZ needs clang: libFuzzer is a part of it")
    endif()
    set(ehi_sanitizers address undefined)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(ehi_sanitizers)
    list(JOIN ehi_sanitizers "," ehi_sanitize_flag)
    set(ehi_sanitize_flag "-fsanitize=${ehi_sanitize_flag}")
    add_compile_options(${ehi_sanitize_flag} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(${ehi_sanitize_flag})
else()
    # scripts/hardening looks at what comes of these. Level 3 where compiler and C library know it: others warn.
    include(CheckCCompilerFlag)
    include(CheckCSourceCompiles)
    set(CMAKE_REQUIRED_FLAGS "-Werror -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
    check_c_source_compiles("#include <string.h>\nint main(void) { return 0; }" ehi_has_fortify_3)
    unset(CMAKE_REQUIRED_FLAGS)
    set(ehi_fortify $<IF:$<BOOL:${ehi_has_fortify_3}>,3,2>)
    foreach(flag IN ITEMS -fstack-clash-protection -fcf-protection)
        string(MAKE_C_IDENTIFIER "ehi_has${flag}" has_flag)
        check_c_compiler_flag("-Werror ${flag}" ${has_flag})
        if(${has_flag})
            add_compile_options(${flag})
        endif()
    endforeach()
    add_compile_options(-fstack-protector-strong
                        $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
                        $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=${ehi_fortify}>)
    add_link_options(-Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endif()

# Without it, programs are position-independent only where the compiler is by itself.
include(CheckPIESupported)
check_pie_supported()
