<?php

declare(strict_types=1);

// A PHP page that gives its signed-in user a session token. The API key stays on the server.
// VOXGATE=http://127.0.0.1:8080 KEY=vk_... php -S 127.0.0.1:8000

$body = json_encode(['sub' => 'user-17', 'leash' => ['seconds' => 600]], JSON_THROW_ON_ERROR);
$context = stream_context_create(['http' => [
    'method' => 'POST',
    'header' => "Authorization: Bearer " . getenv('KEY') . "\r\nContent-Type: application/json",
    'content' => $body,
    'timeout' => 5,
    'ignore_errors' => true,
]]);
$answer = file_get_contents(getenv('VOXGATE') . '/api/realtime/token', false, $context);
$decoded = json_decode($answer === false ? '{}' : $answer, true);
header('Content-Type: application/json');
header('Cache-Control: no-store');
if (($decoded['success'] ?? false) !== true) {
    http_response_code(502);
    echo json_encode(['error' => $decoded['error']['message'] ?? 'the gateway did not answer']);
    exit;
}
echo json_encode(['token' => $decoded['data']['token'], 'url' => $decoded['data']['url']]);
