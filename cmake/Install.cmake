include(CMakePackageConfigHelpers)

set(ehi_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ecshist)

install(DIRECTORY include/ecshist DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)

# Two sets: who links the shared library needs none of the libraries behind it.
install(TARGETS ecshist EXPORT ecshistTargets)
install(EXPORT ecshistTargets NAMESPACE ecshist:: DESTINATION ${ehi_package_dir})
set_target_properties(ecshist_static PROPERTIES EXPORT_NAME static)
install(TARGETS ecshist_static EXPORT ecshistStaticTargets)
install(EXPORT ecshistStaticTargets NAMESPACE ecshist:: DESTINATION ${ehi_package_dir})

configure_package_config_file(cmake/ecshistConfig.cmake.in ecshistConfig.cmake
                              INSTALL_DESTINATION ${ehi_package_dir})
write_basic_package_version_file(ecshistConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ecshistConfig.cmake
              ${PROJECT_BINARY_DIR}/ecshistConfigVersion.cmake
        DESTINATION ${ehi_package_dir})

# The prefix is taken from the file's own place, so that the installed tree can be moved.
file(RELATIVE_PATH ehi_pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/ecshist.pc.in ecshist.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ecshist.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
