# What `cmake --install` puts where.  The man page and the completions are printed by the
# program itself, from the same option tables that parse its command line.

set(S3R_GENERATED ${CMAKE_CURRENT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${S3R_GENERATED})
set(S3R_GENERATED_FILES)
function(s3r_generate file)
    add_custom_command(OUTPUT ${S3R_GENERATED}/${file}
        COMMAND ${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=$<TARGET_FILE_DIR:s3r_shared>
            $<TARGET_FILE:s3r> ${ARGN} > ${S3R_GENERATED}/${file} DEPENDS s3r VERBATIM)
    set(S3R_GENERATED_FILES ${S3R_GENERATED_FILES} ${S3R_GENERATED}/${file} PARENT_SCOPE)
endfunction()
s3r_generate(s3r.1 man)
s3r_generate(s3r.bash completion bash)
s3r_generate(_s3r completion zsh)
s3r_generate(s3r.fish completion fish)
add_custom_target(s3r_generated ALL DEPENDS ${S3R_GENERATED_FILES})

install(TARGETS s3r RUNTIME)
install(TARGETS s3r_shared EXPORT s3r_targets LIBRARY)
if(S3R_STATIC)
    install(TARGETS s3r_static ARCHIVE)
endif()
install(DIRECTORY include/s3r DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING
    PATTERN "*.h")
install(FILES ${S3R_GENERATED}/s3r.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${S3R_GENERATED}/s3r.bash RENAME s3r
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${S3R_GENERATED}/_s3r
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${S3R_GENERATED}/s3r.fish
    DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
# Models: the library finds them from its own place (src/model/model_find.c).  In a build
# folder a link stands for the installed ones, so that programs and tests find them there.
install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/s3r/models)
set(S3R_MODELS_BUILT ${CMAKE_CURRENT_BINARY_DIR}/share/s3r)
file(MAKE_DIRECTORY ${S3R_MODELS_BUILT})
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/models ${S3R_MODELS_BUILT}/models SYMBOLIC)
set(S3R_MODELS_INSTALLED "/${CMAKE_INSTALL_DATADIR}/s3r/models")
file(RELATIVE_PATH S3R_MODELS_FROM_LIB "/${CMAKE_INSTALL_LIBDIR}" ${S3R_MODELS_INSTALLED})
file(RELATIVE_PATH S3R_MODELS_FROM_BIN "/${CMAKE_INSTALL_BINDIR}" ${S3R_MODELS_INSTALLED})
set_property(SOURCE src/model/model_find.c APPEND PROPERTY COMPILE_DEFINITIONS
    S3R_MODELS_FROM_LIB="${S3R_MODELS_FROM_LIB}" S3R_MODELS_FROM_BIN="${S3R_MODELS_FROM_BIN}")
install(FILES python/s3r.py DESTINATION ${CMAKE_INSTALL_DATADIR}/s3r/python)
# The README's links are those of the tree: what it leads to lies beside it.
install(FILES LICENSE README.md ARCHITECTURE.md CONTRIBUTING.md
    DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES python/example.py DESTINATION ${CMAKE_INSTALL_DOCDIR}/python)
install(FILES tools/demo.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/tools)

# pkg-config: the prefix is found from the place of the file, so a tree can be moved.
file(RELATIVE_PATH S3R_PREFIX_FROM_PC "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" S3R_PREFIX_FROM_PC "${S3R_PREFIX_FROM_PC}")
configure_file(cmake/s3r.pc.in ${S3R_GENERATED}/s3r.pc @ONLY)
install(FILES ${S3R_GENERATED}/s3r.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# CMake: find_package(s3r) gives the target s3r::s3r.
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${S3R_GENERATED}/s3rConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(EXPORT s3r_targets NAMESPACE s3r:: FILE s3rConfig.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/s3r)
install(FILES ${S3R_GENERATED}/s3rConfigVersion.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/s3r)
