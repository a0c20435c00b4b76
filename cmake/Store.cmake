# The libraries, from the folders of store/. A third-party library enters through one folder only;
# which folder may know which is checked by scripts/layering.
find_package(PkgConfig REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(MSGPACK REQUIRED IMPORTED_TARGET msgpack)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)

set(ehi_folders base model codec json log db fold view upkeep api)
set(ehi_needs_base PkgConfig::XXHASH)
set(ehi_needs_codec PkgConfig::MSGPACK)
set(ehi_needs_db PkgConfig::LMDB)
set(ehi_needs PkgConfig::XXHASH PkgConfig::MSGPACK PkgConfig::LMDB
              Threads::Threads)

# Where all events go through: loops of a few rounds (XXH3's, ARNs, tokens) want to be unrolled.
set(ehi_hot_folders base model codec log api)

function(ehi_object_library name folder sources)
    add_library(${name} OBJECT ${sources})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/include
                                               ${PROJECT_SOURCE_DIR}/store)
    target_link_libraries(${name} PRIVATE ${ehi_needs_${folder}} Threads::Threads)
    if(folder IN_LIST ehi_hot_folders)
        target_compile_options(${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O3>)
    endif()
endfunction()

# ehi_<folder>: for the library. ehi_<folder>_internal: the same for tests and fuzzers, with hooks.
set(ehi_objects)
set(ehi_internal_objects)
foreach(folder IN LISTS ehi_folders)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/store/${folder}/*.c)
    if(NOT sources)
        message(STATUS "store/${folder}: no sources")
        continue()
    endif()
    ehi_object_library(ehi_${folder} ${folder} "${sources}")
    set_target_properties(ehi_${folder} PROPERTIES C_VISIBILITY_PRESET hidden)
    list(APPEND ehi_objects $<TARGET_OBJECTS:ehi_${folder}>)
    if(ECSHIST_BUILD_TESTS OR ECSHIST_FUZZ)
        ehi_object_library(ehi_${folder}_internal ${folder} "${sources}")
        if(ECSHIST_TEST_HOOKS)
            target_compile_definitions(ehi_${folder}_internal PRIVATE ECSHIST_TEST_HOOKS)
        endif()
        list(APPEND ehi_internal_objects $<TARGET_OBJECTS:ehi_${folder}_internal>)
    endif()
endforeach()

set(ehi_public_include $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                       $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

add_library(ecshist SHARED ${ehi_objects})
add_library(ecshist::ecshist ALIAS ecshist)
set_target_properties(ecshist PROPERTIES LINKER_LANGUAGE C VERSION ${PROJECT_VERSION} SOVERSION 0
                                         LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/ecshist.map)
target_include_directories(ecshist PUBLIC ${ehi_public_include})
target_link_libraries(ecshist PRIVATE ${ehi_needs})
target_link_options(ecshist PRIVATE
                    "LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/ecshist.map")
if(NOT ehi_sanitizers)
    target_link_options(ecshist PRIVATE LINKER:-z,defs)
endif()

add_library(ecshist_static STATIC ${ehi_objects})
set_target_properties(ecshist_static PROPERTIES LINKER_LANGUAGE C OUTPUT_NAME ecshist)
target_include_directories(ecshist_static PUBLIC ${ehi_public_include})
target_link_libraries(ecshist_static PRIVATE ${ehi_needs})

if(ECSHIST_BUILD_TESTS OR ECSHIST_FUZZ)
    # The other opinion on JSON, and what the naive model is made of.
    pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
    add_library(ecshist_internal STATIC ${ehi_internal_objects})
    set_target_properties(ecshist_internal PROPERTIES LINKER_LANGUAGE C)
    target_include_directories(ecshist_internal PUBLIC ${PROJECT_SOURCE_DIR}/include
                                                       ${PROJECT_SOURCE_DIR}/store)
    target_link_libraries(ecshist_internal PUBLIC ${ehi_needs} PkgConfig::JANSSON)
    if(ECSHIST_TEST_HOOKS)
        target_compile_definitions(ecshist_internal PUBLIC ECSHIST_TEST_HOOKS)
    endif()
endif()
