<?php

/** How the endpoints beside it answer: one shape, the headers with it, nothing of what went wrong inside. */

declare(strict_types=1);

header_remove('X-Powered-By');

function answer(int $status, array $body, string $type): never
{
    $given = $_SERVER['HTTP_TRACEPARENT'] ?? '';
    $trace = preg_match('/^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/', $given, $found) ? $found[1] : bin2hex(random_bytes(16));
    http_response_code($status);
    header("Content-Type: $type");
    header("X-Trace-Id: $trace");
    header('X-Content-Type-Options: nosniff');
    header('X-Frame-Options: DENY');
    header('Referrer-Policy: no-referrer');
    header("Content-Security-Policy: default-src 'none'; frame-ancestors 'none'");
    header('Cache-Control: no-store');
    echo json_encode(['success' => $status < 400, 'traceId' => $trace] + $body, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
    exit;
}

function success(array $data): never
{
    answer(200, ['data' => $data] + $data, 'application/json');
}

function problem(int $status, string $code, string $title): never
{
    $path = (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
    $problem = ['type' => "urn:voxgate:error:$code", 'title' => $title, 'status' => $status, 'detail' => $title, 'instance' => $path];
    answer($status, ['error' => ['code' => $code, 'message' => $title]] + $problem, 'application/problem+json');
}

function only_get(): void
{
    if ($_SERVER['REQUEST_METHOD'] !== 'GET') {
        header('Allow: GET');
        problem(405, 'method_not_allowed', 'Method not allowed');
    }
}
