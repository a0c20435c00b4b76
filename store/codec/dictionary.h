/*
 * Member names that maps know by a number. This list is the normative one (docs/FORMAT.md copies
 * it): a number is never given another name, a name never another number. The list is closed: what
 * a later format adds stands behind the last, and its segments carry an incompatible feature bit.
 */
#ifndef EHI_CODEC_DICTIONARY_H
#define EHI_CODEC_DICTIONARY_H

#include "base/bytes.h"

/* X(number, name). 1 to 127 take one byte in MessagePack, those above two. */
#define EHI_DICTIONARY(X)                                                                          \
    /* Of events themselves: each of these may stand at the top of a body. */                      \
    X(1, serviceDeploymentArn)                                                                     \
    X(2, serviceRevisionArn)                                                                       \
    X(3, serviceArn)                                                                               \
    X(4, clusterArn)                                                                               \
    X(5, targetServiceRevisionArn)                                                                 \
    X(6, sourceServiceRevisionArns)                                                                \
    X(7, deploymentConfiguration)                                                                  \
    X(8, desiredCount)                                                                             \
    X(9, createdAt)                                                                                \
    X(10, serviceRevisions)                                                                        \
    X(11, taskArn)                                                                                 \
    X(12, reason)                                                                                  \
    X(13, stopCode)                                                                                \
    X(14, exitCode)                                                                                \
    X(15, containerName)                                                                           \
    X(16, alarmNames)                                                                              \
    X(17, lifecycleStage)                                                                          \
    X(18, hook)                                                                                    \
    X(19, hookId)                                                                                  \
    X(20, action)                                                                                  \
    X(21, stopType)                                                                                \
    X(22, requestedBy)                                                                             \
    X(23, revision)                                                                                \
    X(24, serviceDeployment)                                                                       \
    X(25, serviceRevision)                                                                         \
    X(26, cutoff)                                                                                  \
    X(27, keepLast)                                                                                \
    /* The envelope: in the header of a record, in a body only within other members. */            \
    X(28, id)                                                                                      \
    X(29, type)                                                                                    \
    X(30, time)                                                                                    \
    X(31, seq)                                                                                     \
    X(32, recordedAt)                                                                              \
    /* ServiceRevisionSummary, ServiceDeployment and the shapes in it. */                          \
    X(33, arn)                                                                                     \
    X(34, requestedTaskCount)                                                                      \
    X(35, runningTaskCount)                                                                        \
    X(36, pendingTaskCount)                                                                        \
    X(37, requestedTestTrafficWeight)                                                              \
    X(38, requestedProductionTrafficWeight)                                                        \
    X(39, startedAt)                                                                               \
    X(40, finishedAt)                                                                              \
    X(41, stoppedAt)                                                                               \
    X(42, updatedAt)                                                                               \
    X(43, sourceServiceRevisions)                                                                  \
    X(44, targetServiceRevision)                                                                   \
    X(45, status)                                                                                  \
    X(46, statusReason)                                                                            \
    X(47, lifecycleHookDetails)                                                                    \
    X(48, rollback)                                                                                \
    X(49, deploymentCircuitBreaker)                                                                \
    X(50, alarms)                                                                                  \
    X(51, targetType)                                                                              \
    X(52, targetArn)                                                                               \
    X(53, expiresAt)                                                                               \
    X(54, timeoutAction)                                                                           \
    X(55, failureCount)                                                                            \
    X(56, threshold)                                                                               \
    X(57, triggeredAlarmNames)                                                                     \
    /* DeploymentConfiguration. */                                                                 \
    X(58, maximumPercent)                                                                          \
    X(59, minimumHealthyPercent)                                                                   \
    X(60, strategy)                                                                                \
    X(61, bakeTimeInMinutes)                                                                       \
    X(62, lifecycleHooks)                                                                          \
    X(63, linearConfiguration)                                                                     \
    X(64, canaryConfiguration)                                                                     \
    X(65, enable)                                                                                  \
    X(66, resetOnHealthyTask)                                                                      \
    X(67, thresholdConfiguration)                                                                  \
    X(68, value)                                                                                   \
    X(69, hookTargetArn)                                                                           \
    X(70, roleArn)                                                                                 \
    X(71, lifecycleStages)                                                                         \
    X(72, hookDetails)                                                                             \
    X(73, timeoutConfiguration)                                                                    \
    X(74, timeoutInMinutes)                                                                        \
    X(75, stepPercent)                                                                             \
    X(76, stepBakeTimeInMinutes)                                                                   \
    X(77, canaryPercent)                                                                           \
    X(78, canaryBakeTimeInMinutes)                                                                 \
    /* ServiceRevision: what most revisions have. */                                               \
    X(79, taskDefinition)                                                                          \
    X(80, capacityProviderStrategy)                                                                \
    X(81, launchType)                                                                              \
    X(82, platformVersion)                                                                         \
    X(83, platformFamily)                                                                          \
    X(84, loadBalancers)                                                                           \
    X(85, serviceRegistries)                                                                       \
    X(86, networkConfiguration)                                                                    \
    X(87, containerImages)                                                                         \
    X(88, guardDutyEnabled)                                                                        \
    X(89, serviceConnectConfiguration)                                                             \
    X(90, volumeConfigurations)                                                                    \
    X(91, fargateEphemeralStorage)                                                                 \
    X(92, vpcLatticeConfigurations)                                                                \
    X(93, resolvedConfiguration)                                                                   \
    X(94, ecsManagedResources)                                                                     \
    X(95, overrides)                                                                               \
    X(96, monitoring)                                                                              \
    X(97, capacityProvider)                                                                        \
    X(98, weight)                                                                                  \
    X(99, base)                                                                                    \
    X(100, targetGroupArn)                                                                         \
    X(101, loadBalancerName)                                                                       \
    X(102, containerPort)                                                                          \
    X(103, advancedConfiguration)                                                                  \
    X(104, alternateTargetGroupArn)                                                                \
    X(105, productionListenerRule)                                                                 \
    X(106, testListenerRule)                                                                       \
    X(107, registryArn)                                                                            \
    X(108, port)                                                                                   \
    X(109, awsvpcConfiguration)                                                                    \
    X(110, subnets)                                                                                \
    X(111, securityGroups)                                                                         \
    X(112, assignPublicIp)                                                                         \
    X(113, imageDigest)                                                                            \
    X(114, image)                                                                                  \
    X(115, enabled)                                                                                \
    X(116, namespace)                                                                              \
    X(117, services)                                                                               \
    X(118, logConfiguration)                                                                       \
    X(119, portName)                                                                               \
    X(120, discoveryName)                                                                          \
    X(121, clientAliases)                                                                          \
    X(122, dnsName)                                                                                \
    X(123, logDriver)                                                                              \
    X(124, options)                                                                                \
    X(125, secretOptions)                                                                          \
    X(126, name)                                                                                   \
    X(127, valueFrom)                                                                              \
    /* ServiceRevision: the rest; two bytes each. */                                               \
    X(128, accessLogConfiguration)                                                                 \
    X(129, ingressPortOverride)                                                                    \
    X(130, timeout)                                                                                \
    X(131, tls)                                                                                    \
    X(132, testTrafficRules)                                                                       \
    X(133, header)                                                                                 \
    X(134, exact)                                                                                  \
    X(135, idleTimeoutSeconds)                                                                     \
    X(136, perRequestTimeoutSeconds)                                                               \
    X(137, issuerCertificateAuthority)                                                             \
    X(138, kmsKey)                                                                                 \
    X(139, awsPcaAuthorityArn)                                                                     \
    X(140, format)                                                                                 \
    X(141, includeQueryParameters)                                                                 \
    X(142, managedEBSVolume)                                                                       \
    X(143, encrypted)                                                                              \
    X(144, kmsKeyId)                                                                               \
    X(145, volumeType)                                                                             \
    X(146, sizeInGiB)                                                                              \
    X(147, snapshotId)                                                                             \
    X(148, volumeInitializationRate)                                                               \
    X(149, iops)                                                                                   \
    X(150, throughput)                                                                             \
    X(151, tagSpecifications)                                                                      \
    X(152, filesystemType)                                                                         \
    X(153, resourceType)                                                                           \
    X(154, tags)                                                                                   \
    X(155, propagateTags)                                                                          \
    X(156, key)                                                                                    \
    X(157, ingressPaths)                                                                           \
    X(158, autoScaling)                                                                            \
    X(159, metricAlarms)                                                                           \
    X(160, serviceSecurityGroups)                                                                  \
    X(161, logGroups)                                                                              \
    X(162, accessType)                                                                             \
    X(163, endpoint)                                                                               \
    X(164, loadBalancer)                                                                           \
    X(165, loadBalancerSecurityGroups)                                                             \
    X(166, certificate)                                                                            \
    X(167, listener)                                                                               \
    X(168, rule)                                                                                   \
    X(169, targetGroups)                                                                           \
    X(170, scheme)                                                                                 \
    X(171, subnetIds)                                                                              \
    X(172, securityGroupIds)                                                                       \
    X(173, domainName)                                                                             \
    X(174, healthCheckPath)                                                                        \
    X(175, healthCheckPort)                                                                        \
    X(176, scalableTarget)                                                                         \
    X(177, applicationAutoScalingPolicies)                                                         \
    X(178, minCapacity)                                                                            \
    X(179, maxCapacity)                                                                            \
    X(180, policyType)                                                                             \
    X(181, targetValue)                                                                            \
    X(182, metric)                                                                                 \
    X(183, logGroupName)                                                                           \
    X(184, runtimePlatform)                                                                        \
    X(185, cpuArchitecture)                                                                        \
    X(186, metricConfigurations)                                                                   \
    X(187, metricNames)                                                                            \
    X(188, resolutionSeconds)

enum ehi_key {
    EHI_KEY_UNKNOWN = 0, /* a name that has no number */
#define EHI_DICTIONARY_ENUM(number, name) EHI_KEY_##name = (number),
    EHI_DICTIONARY(EHI_DICTIONARY_ENUM)
#undef EHI_DICTIONARY_ENUM
};

#define EHI_KEY_COUNT 188   /* numbers are 1 to this */
#define EHI_BODY_KEY_MAX 27 /* the greatest number of a member that an event's type defines */

/* The number of a name, EHI_KEY_UNKNOWN where it has none. */
int ehi_key_number(struct ehi_slice name);
/* The name of a number, which must be 1 to EHI_KEY_COUNT. Static, NUL-terminated. */
struct ehi_slice ehi_key_name(int number);

#endif
